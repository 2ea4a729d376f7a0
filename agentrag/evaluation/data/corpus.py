"""A data set's corpus as a collection: built once, found again by its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from agentrag.core.errors import DataSetError
from agentrag.core.ports import Embedder
from agentrag.core.settings import Settings
from agentrag.evaluation.data import tools
from agentrag.evaluation.data.dataset import DataSet
from agentrag.ingest.loaders.corpus import NO_TEXT
from agentrag.ingest.pipeline import Options, Progress, ingest
from agentrag.retrieval.collections import Collections

WHOLE = 1_000_000
"""Tokens up to which a record stays one passage where documents are not to be cut: more than any has."""


def uncut(options: Options) -> Options:
    """The same options, but every document is one passage, as in the reference runs of BEIR.

    What an embedder reads of it ends where its own limit is: after 256 tokens for the default one.
    """
    return replace(options, record_tokens=WHOLE)


async def corpus_collection(
    data: DataSet,
    settings: Settings,
    embedder: Embedder,
    options: Options,
    watch: Callable[[Progress], None] = lambda _: None,
) -> str:
    """The name of the collection that holds a data set's corpus; the first call makes it.

    The name follows from the corpus file, the embedder and the way of cutting: equal ones are never built twice, and a
    build that was stopped goes on where it was.

    Args:
        data: The data set.
        settings: Say where collections are.
        embedder: Embeds the passages.
        options: How the corpus is cut.
        watch: Told how far the building is.

    Raises:
        DataSetError: The corpus is malformed, or a judgement names a document that it does not have.
        StoreError: The collection cannot be written.
    """
    name = _name(data, embedder, options)
    library, record = Collections(settings, embedder), settings.own(settings.home) / "evals" / "corpora" / f"{name}.json"
    built = _read(record) if name in library.names() else {}
    judged = _digest(data.judged_in).hex() if data.judged_in else ""
    if built.get("judged") != judged:
        data.check_judgements()
    if not built:
        corpus = _as_corpus(data, record.with_suffix(""))
        with closing(library.open(name, write=True)) as collection:
            report = await ingest([corpus], collection, options, watch)
        # documents without any text, which some published sets have, are never found; that is no fault of the set
        if skipped := [entry for entry in report.skipped if NO_TEXT not in entry.reason]:
            first, count = skipped[0], len(skipped)
            raise DataSetError(f"{data.corpus}: {count} records cannot be ingested; the first: {first.reason}")
        built = {"corpus": str(data.corpus), "passages": report.passages}
    if built.get("judged") != judged:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({**built, "judged": judged}), encoding="utf-8")
    return name


def _as_corpus(data: DataSet, folder: Path) -> Path:
    """The data set's documents as a file that can be ingested; that of tools is written into a folder that stays.

    It stays because a build that was stopped knows by the path what it has already.
    """
    if not data.has_tools:
        return data.corpus
    corpus = folder / "corpus.jsonl"
    tools.write_corpus(data.corpus, corpus)
    return corpus


def _read(record: Path) -> dict[str, object]:
    """What was written when the collection was complete; {} where it never was."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _name(data: DataSet, embedder: Embedder, options: Options) -> str:
    recipe = [version("agentrag"), embedder.name, options.limit.tokens, options.record_tokens]
    digest = hashlib.sha256(json.dumps([*recipe, tools.FORM] if data.has_tools else recipe).encode())
    digest.update(_digest(data.corpus))
    slug = re.sub(r"[^a-z0-9]+", "-", data.name.lower()).strip("-")[:40]
    return f"eval-{slug}-{digest.hexdigest()[:12]}"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
