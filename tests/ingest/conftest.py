"""A collection that records what is written to it, with the contract of the real one: only finished documents show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentrag.ingest.chunk import Limit
from agentrag.ingest.documents import Reading
from agentrag.ingest.loaders.formats import pick
from agentrag.ingest.pipeline import Options
from agentrag.retrieval.records import Chunk, NewDocument, StoredDocument


@dataclass
class RecordingCollection:
    """Keeps passages in memory; `fail` is raised by the next `add` where it is set."""

    name: str = "notes"
    stored: dict[str, tuple[NewDocument, list[Chunk]]] = field(default_factory=dict)
    begun: dict[str, tuple[NewDocument, list[Chunk]]] = field(default_factory=dict)
    fail: Exception | None = None

    def documents(self) -> dict[str, StoredDocument]:
        return {
            source: StoredDocument(source, new.fingerprint, new.title, len(chunks), sum(len(chunk.text) for chunk in chunks))
            for source, (new, chunks) in self.stored.items()
        }

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[RecordingCollection]:
        try:
            yield self
        finally:
            self.begun.clear()

    def begin(self, document: NewDocument) -> None:
        self.begun[document.source] = (document, [])

    async def add(self, source: str, chunks: Sequence[Chunk]) -> None:
        if self.fail:
            raise self.fail
        self.begun[source][1].extend(chunks)

    def finish(self, source: str) -> None:
        self.stored[source] = self.begun.pop(source)

    def remove(self, sources: Sequence[str]) -> None:
        for source in sources:
            del self.stored[source]

    def texts(self) -> list[str]:
        return [chunk.text for _, chunks in self.stored.values() for chunk in chunks]


@dataclass(frozen=True)
class Loaded:
    """What a loader made of a file."""

    titles: list[str]
    texts: list[str]
    places: list[tuple[int | None, str]]
    problems: list[str]


@pytest.fixture
def collection() -> RecordingCollection:
    return RecordingCollection()


@pytest.fixture
def options() -> Options:
    return Options(Limit(40, lambda text: len(text.split())))


@pytest.fixture
def load() -> Callable[[Path], Loaded]:
    """Read one file to its end."""

    def loaded(path: Path) -> Loaded:
        reading = Reading(path.resolve(), path.stat().st_size)
        titles: list[str] = []
        texts: list[str] = []
        places: list[tuple[int | None, str]] = []
        for document in pick(reading.path, named=True)[1].load(reading):
            blocks = list(document.blocks)
            titles.append(document.title)
            texts.append("".join(block.text for block in blocks))
            places.extend((block.page, block.heading) for block in blocks)
            assert [block.start for block in blocks] == [sum(len(b.text) for b in blocks[:i]) for i in range(len(blocks))]
        return Loaded(titles, texts, places, reading.problems)

    return loaded
