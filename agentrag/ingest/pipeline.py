"""Ingest paths into a collection: only what is new or changed, and nothing that was stored is lost at any stop."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from agentrag.core.errors import StoreError
from agentrag.core.settings import Settings
from agentrag.ingest.chunk import Limit
from agentrag.ingest.documents import storable
from agentrag.ingest.read import Begin, Finish, Piece, Reader, Step, Unchanged
from agentrag.ingest.tokens import RECORD_TOKENS, token_counter
from agentrag.ingest.walk import Skipped, Walk, walk
from agentrag.retrieval.collection import Collection, Writer

T = TypeVar("T")
_STEPS, _SECONDS = 256, 0.2


@dataclass(frozen=True)
class Options:
    """How to ingest.

    Attributes:
        limit: Of a passage, in the embedder's tokens.
        record_tokens: A record of a corpus file stays one passage up to this many tokens.
        prune: Remove stored documents of the given paths whose file or record is no longer there.
    """

    limit: Limit
    record_tokens: int = RECORD_TOKENS
    prune: bool = False

    @classmethod
    def of(cls, settings: Settings, *, prune: bool = False) -> Options:
        """The options that the settings say, counting in the tokens of their embedder.

        Raises:
            NotPulledError: The embedder is not on this machine.
        """
        return cls(Limit(settings.chunk.tokens, token_counter(settings)), prune=prune)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: the file at hand, bytes read of all bytes, and passages handed over."""

    file: str
    done: int
    total: int
    passages: int


@dataclass
class Report:
    """What was done.

    Attributes:
        added, replaced, unchanged, removed: Counts of documents (a record of a corpus file is a document).
        passages: Of the added and replaced documents.
        skipped: What was not ingested, with the reason.
        seconds: Wall time.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> list[Skipped]:
        """What the user named and did not get."""
        return [entry for entry in self.skipped if entry.named]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON data."""
        return asdict(self)


async def ingest(
    paths: Iterable[Path | str],
    collection: Collection,
    options: Options,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Read files and folders into a collection opened for writing.

    Each document becomes visible when it is complete, and replaces its older version in the same transaction: stopped
    at any instant, everything before stays, and the next call goes on from there.

    Args:
        paths: Files, and folders to walk.
        collection: Where to.
        options: How.
        progress: Called about five times a second in the event loop.

    Raises:
        StoreError: The collection cannot be written, for one because the disk is full.
    """
    started = perf_counter()
    report = Report()
    found = await _in_thread(lambda: walk(map(Path, paths)))
    report.skipped.extend(found.skipped)
    known = collection.documents()
    reader = Reader(options.limit, options.record_tokens, known)
    steps = reader.steps(found.files)
    total = sum(file.size for file in found.files)
    with _disk_errors(collection.name):
        async with collection.writer() as writer:
            while batch := await _in_thread(lambda: _take(steps)):
                await _apply(batch, writer, report, known)
                progress(_progress(reader, total, report))
        if options.prune:
            gone = sorted(_vanished(known, reader, found))
            collection.remove(gone)
            report.removed = len(gone)
    report.skipped.extend(_barren(found, reader))
    report.seconds = round(perf_counter() - started, 3)
    return report


async def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread; when cancelled, wait for its end, so that nothing it uses is closed under it."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _take(steps: Iterator[Step]) -> list[Step]:
    """The next steps: up to 256, or what a fifth of a second gives; none at the end."""
    batch: list[Step] = []
    until = perf_counter() + _SECONDS
    for step in steps:
        batch.append(step)
        if len(batch) == _STEPS or perf_counter() > until:
            break
    return batch


async def _apply(batch: Sequence[Step], writer: Writer, report: Report, known: Container[str]) -> None:
    for source, steps in groupby(batch, key=lambda step: step.source if isinstance(step, Piece) else None):
        if source is None:
            for step in steps:
                _note(step, writer, report, known)
            continue
        chunks = [step.chunk for step in steps if isinstance(step, Piece)]
        report.passages += len(chunks)
        await writer.add(source, chunks)


def _note(step: Step, writer: Writer, report: Report, known: Container[str]) -> None:
    match step:
        case Begin(document):
            writer.begin(document)
        case Finish(source):
            writer.finish(source)
            report.replaced += source in known
            report.added += source not in known
        case Unchanged():
            report.unchanged += 1
        case Skipped():
            report.skipped.append(step)


def _progress(reader: Reader, total: int, report: Report) -> Progress:
    now = reader.reading
    return Progress(now.source if now else "", reader.done + (now.done if now else 0), total, report.passages)


def _vanished(known: Iterable[str], reader: Reader, found: Walk) -> Iterator[str]:
    """Stored sources below the given paths that were not met, and that nothing unreadable may still hold."""
    roots = tuple(storable(str(root)) for root in found.roots)
    kept = tuple(reader.unsure | {entry.source for entry in found.skipped})
    for source in known:
        if source not in reader.seen and _inside(source, roots) and not _inside(source, kept):
            yield source


def _inside(source: str, places: tuple[str, ...]) -> bool:
    """Whether a source is one of the places, a file below one, or a record in one."""
    return any(source.startswith(place) and source[len(place) : len(place) + 1] in {"", "/", "\\", "#"} for place in places)


def _barren(found: Walk, reader: Reader) -> Iterator[Skipped]:
    """The folders that the user named and that gave nothing."""
    told = {entry.source for entry in found.skipped if entry.named}
    for root in found.roots:
        source = storable(str(root))
        if root.is_dir() and source not in told and not any(path.is_relative_to(root) for path in reader.good):
            yield Skipped(source, "no document in this folder could be read", named=True)


@contextmanager
def _disk_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "disk is full" in str(error)
        if not full:
            raise
        what = f"The disk is full: collection '{name}' keeps what was complete. Free some space and run this again."
        raise StoreError(what) from error
