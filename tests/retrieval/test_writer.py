from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.ports import Vectors
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collection import Chunk, Collection, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.writer import FLUSH
from agentrag.testing.fakes import WordEmbedder
from tests.retrieval.conftest import document, store, texts


async def test_a_document_shows_when_it_is_finished_and_not_before(isles: Collection) -> None:
    async with isles.writer() as writer:
        new, _ = document("/long")
        writer.begin(new)
        for i in range(FLUSH + 10):
            await writer.add("/long", [Chunk(f"part {i}", i * 10, i * 10 + 8)])
        assert "/long" not in isles.documents()  # a batch of it is stored
        assert await texts(isles, "part", mode="lexical") == []
        writer.finish("/long")
    assert isles.documents()["/long"].passages == FLUSH + 10


async def test_many_passages_in_one_call_are_embedded_in_batches(collections: Collections) -> None:
    sizes = []

    class Counting(WordEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            sizes.append(len(texts))
            return await super().embed(texts)

    async with memory_with(collections, Counting()) as collection:
        await store(collection, [document(f"/d{i}", *(f"w{i} {j}" for j in range(50))) for i in range(12)])
    assert sizes == [FLUSH, FLUSH, 600 - 2 * FLUSH]


def memory_with(collections: Collections, embedder: WordEmbedder) -> Collection:
    vars(collections)["_embedder"] = embedder
    return collections.in_memory("counted")


async def test_leaving_a_writer_by_an_error_keeps_what_was_complete_and_drops_the_rest(isles: Collection) -> None:
    async def write() -> None:
        async with isles.writer() as writer:
            for name in ("/whole", "/half"):
                writer.begin(NewDocument(name, "1"))
                await writer.add(name, [Chunk(f"{name} {i}", i, i + 1) for i in range(FLUSH)])
                if name == "/whole":
                    writer.finish(name)
                    writer.begin(NewDocument("/empty", "1"))
                    writer.finish("/empty")
            raise RuntimeError("the loader broke")

    with pytest.raises(RuntimeError, match="loader broke"):
        await write()
    assert "/whole" in isles.documents()
    assert "/half" not in isles.documents()
    assert len(await isles.search(SearchRequest("half", k=99, where={"source": "/half"}))) == 0
    assert isles.verify() == []


async def test_a_cancelled_writer_keeps_what_was_complete(collections: Collections) -> None:
    class Stuck(WordEmbedder):
        calls = 0

        async def embed(self, texts: Sequence[str]) -> Vectors:
            self.calls += 1
            if self.calls > 1:
                await asyncio.sleep(60)
            return await super().embed(texts)

    async with memory_with(collections, Stuck()) as collection:
        documents = [document(f"/d{i}", *(f"w{i} {j}" for j in range(FLUSH))) for i in range(3)]
        task = asyncio.create_task(store(collection, documents))
        while "/d0" not in collection.documents():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(collection.documents()) == ["/d0"]
        assert collection.verify() == []


async def test_a_document_without_passages_is_remembered(isles: Collection) -> None:
    await store(isles, [document("/blank")])
    assert isles.documents()["/blank"].passages == 0


async def test_a_document_begun_again_forgets_its_first_beginning(isles: Collection) -> None:
    async with isles.writer() as writer:
        writer.begin(NewDocument("/d", "1"))
        await writer.add("/d", [Chunk("first try", 0, 9)])
        writer.begin(NewDocument("/d", "1"))
        await writer.add("/d", [Chunk("second try", 0, 10)])
        writer.finish("/d")
    assert await texts(isles, "try", mode="lexical", where={"source": "/d"}) == ["second try"]
    assert isles.verify() == []


async def test_adding_to_a_document_that_was_not_begun_is_an_error(isles: Collection) -> None:
    async with isles.writer() as writer:
        with pytest.raises(StoreError, match="/x was not begun"):
            await writer.add("/x", [])
        with pytest.raises(StoreError, match="/x was not begun"):
            writer.finish("/x")


async def test_a_search_beside_a_writer_sees_what_is_complete(isles: Collection) -> None:
    async with isles.writer() as writer:
        for i in range(3):
            writer.begin(NewDocument(f"/d{i}", "1"))
            await writer.add(f"/d{i}", [Chunk(f"walrus {i} {j}", j, j + 1) for j in range(FLUSH)])
            writer.finish(f"/d{i}")
            assert len(await texts(isles, "walrus", k=2000, mode="lexical")) == (i + 1) * FLUSH
