"""Read files into steps for a writer. Plain, synchronous and lazy, so that it can run in a thread, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from agentrag.core.errors import DocumentError
from agentrag.ingest.chunk import Limit, passages
from agentrag.ingest.documents import Document, Reading, one_line
from agentrag.ingest.fingerprints import of_file, of_record, recipe
from agentrag.ingest.loaders.formats import Format, pick
from agentrag.ingest.walk import Found, Skipped, why
from agentrag.retrieval.records import Chunk, NewDocument, StoredDocument


@dataclass(frozen=True, slots=True)
class Begin:
    """A new document, or a new version of one, begins."""

    document: NewDocument


@dataclass(frozen=True, slots=True)
class Piece:
    """The next passage of a document."""

    source: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Finish:
    """A document is complete."""

    source: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A document is stored as it is."""

    source: str


Step = Begin | Piece | Finish | Unchanged | Skipped


@dataclass
class Reader:
    """Reads files and remembers what it saw.

    Attributes:
        limit: Of a passage.
        record_tokens: A record of a corpus stays whole up to this size, in the limit's tokens.
        known: What is stored already, by source.
        seen: Sources of all documents and files that are there, readable or not.
        unsure: Files of which not every record could be read.
        good: Files that gave a document.
        done: Bytes of the files that are finished.
        reading: The file at hand.
    """

    limit: Limit
    record_tokens: int
    known: Mapping[str, StoredDocument]
    seen: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    good: set[Path] = field(default_factory=set)
    done: int = 0
    reading: Reading | None = None

    def steps(self, files: Iterable[Found]) -> Iterator[Step]:
        """Yield what is to be done for each file. A file that cannot be read gives one Skipped and harms no other."""
        for found in files:
            reading = self.reading = Reading(found.path, found.size)
            self.seen.add(reading.source)
            try:
                yield from self._file(reading, named=found.named)
                self.good.add(found.path)
            except DocumentError as error:
                yield self._failed(reading, error.reason, named=found.named)
            except OSError as error:
                yield self._failed(reading, why(error), named=found.named)
            except Exception as error:  # a parser that trips over one file must not end the reading of thousands
                reason = f"its parser failed ({type(error).__name__}: {one_line(str(error))})"
                yield self._failed(reading, reason, named=found.named)
            for problem in reading.problems:
                yield Skipped(reading.source, problem)
            if reading.more_problems:
                yield Skipped(reading.source, f"{reading.more_problems:,} more lines")
            self.reading = None
            self.done += found.size

    def _failed(self, reading: Reading, reason: str, *, named: bool) -> Skipped:
        self.unsure.add(reading.source)
        return Skipped(reading.source, reason, named)

    def _file(self, reading: Reading, *, named: bool) -> Iterator[Step]:
        name, entry = pick(reading.path, named=named)
        how = recipe(name, entry, self.limit.tokens)
        if entry.records:
            return self._records(reading, entry, how)
        return self._whole(reading, entry, how)

    def _whole(self, reading: Reading, entry: Format, how: str) -> Iterator[Step]:
        before = _state(reading.path)
        fingerprint = of_file(reading.path, how)
        if self._is_known(reading.source, fingerprint):
            yield Unchanged(reading.source)
            return
        with closing(entry.load(reading)) as documents:
            for document in documents:
                new = NewDocument(document.source, fingerprint, document.title, document.record, document.metadata)
                yield from _pieces(new, passages(document.blocks, self.limit))
                if _state(reading.path) != before:
                    raise reading.error("it changed while it was read; run this again")
                yield Finish(document.source)

    def _records(self, reading: Reading, entry: Format, how: str) -> Iterator[Step]:
        read = 0
        with closing(entry.load(reading)) as documents:
            for document in documents:
                self.seen.add(document.source)
                yield from self._record(document, how)
                read += 1
        if reading.problems:
            self.unsure.add(reading.source)
        if not read:
            first = reading.problems.pop(0) if reading.problems else "no lines"
            raise reading.error(f"not a corpus of lines with 'id' and 'text' ({first})")

    def _record(self, document: Document, how: str) -> Iterator[Step]:
        blocks = list(document.blocks)
        text = "".join(block.text for block in blocks)
        fingerprint = of_record(document, text, how)
        if self._is_known(document.source, fingerprint):
            yield Unchanged(document.source)
            return
        new = NewDocument(document.source, fingerprint, document.title, document.record, document.metadata)
        body = text.strip()
        if Limit(self.record_tokens, self.limit.count).holds(body):
            start = len(text) - len(text.lstrip())
            chunks = iter([Chunk(text=body, start=start, end=start + len(body), page=None, heading="")])
        else:
            chunks = passages(blocks, self.limit)
        yield from _pieces(new, chunks)
        yield Finish(document.source)

    def _is_known(self, source: str, fingerprint: str) -> bool:
        stored = self.known.get(source)
        return stored is not None and stored.fingerprint == fingerprint


def _pieces(new: NewDocument, chunks: Iterator[Chunk]) -> Iterator[Step]:
    """Begin a document with its first passage, so that one without text is never begun."""
    first = next(chunks, None)
    if first is None:
        raise DocumentError(new.source, "no text in it")
    yield Begin(new)
    yield Piece(new.source, first)
    for chunk in chunks:
        yield Piece(new.source, chunk)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
