from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.ports import Searcher
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collection import Chunk, Collection, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder

Document = tuple[NewDocument, list[Chunk]]


def document(source: str, *texts: str, fingerprint: str = "1", **metadata: str | int | float | bool) -> Document:
    """A document whose passages are `texts`, one space apart."""
    chunks: list[Chunk] = []
    start = 0
    for text in texts:
        chunks.append(Chunk(text, start, start + len(text), before=" " if chunks else ""))
        start += len(text) + 1
    return NewDocument(source, fingerprint, metadata=metadata), chunks


def words(number: int, count: int = 8) -> str:
    """A text of its own for every number: words from a vocabulary of a thousand."""
    digits = sha256(str(number).encode()).digest()
    return " ".join(f"w{int.from_bytes(digits[2 * i : 2 * i + 2]) % 1000}" for i in range(count))


async def store(collection: Collection, documents: Iterable[Document]) -> None:
    """Write documents and finish them."""
    async with collection.writer() as writer:
        for new, chunks in documents:
            writer.begin(new)
            await writer.add(new.source, chunks)
            writer.finish(new.source)


ISLES = [
    document("/isles/skye", "Skye has black mountains.", "Its bridge opened in 1995.", lang="en", year=1995),
    document("/isles/mull", "Mull has white eagles.", "A ferry sails there.", lang="en", year=2001),
    document("/isles/sylt", "Sylt hat Deiche.", "A train runs there.", lang="de", year=1927),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def collections(settings: Settings) -> Collections:
    return Collections(settings, WordEmbedder())


@pytest.fixture(params=["disk", "memory"])
async def isles(request: pytest.FixtureRequest, collections: Collections) -> AsyncIterator[Collection]:
    """A collection of three documents, open for writing."""
    made = collections.in_memory("isles") if request.param == "memory" else collections.open("isles", write=True)
    async with made as collection:
        await store(collection, ISLES)
        yield collection


async def texts(searcher: Searcher, query: str, **options: Any) -> list[str]:
    return [passage.text for passage in await searcher.search(SearchRequest(query, **options))]
