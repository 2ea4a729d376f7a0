"""A data set's corpus as a collection: built once, found again by its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from agentrag.core.errors import DataSetError
from agentrag.core.ports import Embedder
from agentrag.core.settings import Settings
from agentrag.evaluation.data.dataset import DataSet
from agentrag.ingest.pipeline import Options, Progress, ingest
from agentrag.retrieval.collections import Collections


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
    if record.is_file() and name in library.names():
        return name
    data.check_judgements()
    with closing(library.open(name, write=True)) as collection:
        report = await ingest([data.corpus], collection, options, watch)
    if report.skipped:
        skipped = report.skipped[0]
        raise DataSetError(f"{data.corpus}: {len(report.skipped)} records cannot be ingested; the first: {skipped.reason}")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"corpus": str(data.corpus), "passages": report.passages}), encoding="utf-8")
    return name


def _name(data: DataSet, embedder: Embedder, options: Options) -> str:
    recipe = [version("agentrag"), embedder.name, options.limit.tokens, options.record_tokens]
    digest = hashlib.sha256(json.dumps(recipe).encode())
    digest.update(_digest(data.corpus))
    slug = re.sub(r"[^a-z0-9]+", "-", data.name.lower()).strip("-")[:40]
    return f"eval-{slug}-{digest.hexdigest()[:12]}"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
