"""Many passages with one vector: what they cost, and that nothing of them is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentrag.core.errors import CollectionDamagedError
from agentrag.core.ports import Vectors
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.chroma import ChromaStore
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.crowds import MOST
from agentrag.retrieval.memory import MemoryStore
from tests.retrieval.conftest import document, store, words

COUNT = 1500
SAME = "the same line"


def equal(n: int, seed: int = 0) -> Vectors:
    row = np.random.default_rng(seed).normal(size=24)
    rows: Vectors = np.tile((row / np.linalg.norm(row)).astype(np.float32), (n, 1))
    return rows


def in_graph(home: Path) -> int:
    """How many vectors Chroma was given and still has."""
    (path,) = home.glob("**/chroma.sqlite3")
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM embeddings").fetchone()[0])
    finally:
        connection.close()


async def test_many_equal_passages_cost_the_graph_nothing_and_are_all_found(
    collections: Collections, settings: Settings
) -> None:
    others = [document(f"/other/{i}", words(i)) for i in range(20)]
    logs = [document("/log/1", *[SAME] * (COUNT - 100), day=1), document("/log/2", *[SAME] * 100, day=2)]
    async with collections.open("c", write=True) as collection:
        await store(collection, [*others, *logs])
        assert in_graph(settings.home) == len(others)
        assert collection.verify() == []
    async with collections.open("c", write=True) as collection, collections.in_memory("m") as memory:
        await store(memory, [*others, *logs])
        conditions: list[dict[str, Any] | None] = [None, {"day": 2}, {"source": "/log/1"}]
        for where in conditions:
            request = SearchRequest(SAME, k=COUNT + 20, mode="dense", where=where)
            here, exact = await collection.search(request), await memory.search(request)
            assert [passage.id for passage in here] == [passage.id for passage in exact]
        collection.remove(["/log/1"])
        assert len(await collection.search(SearchRequest(SAME, k=COUNT + 20, mode="dense"))) == 120
        assert collection.verify() == []
        await collection.rebuild()
        assert in_graph(settings.home) == len(others)
        assert collection.verify() == []


@pytest.mark.parametrize("slices", [[MOST], [MOST + 1], [1] * (MOST + 4), [MOST, 1, 60], [3, 500, 1]], ids=str)
def test_a_crowd_that_comes_in_pieces_is_found_whole(tmp_path: Path, slices: list[int]) -> None:
    chroma, exact = ChromaStore(tmp_path / "c"), MemoryStore()
    begin = 0
    for size in slices:
        ids, metadatas = [f"p{i:04d}" for i in range(begin, begin + size)], [{"n": i} for i in range(begin, begin + size)]
        for one in (chroma, exact):
            one.add(ids, equal(size), metadatas)
        begin += size
    chroma.close()
    again = ChromaStore(tmp_path / "c")
    assert in_graph(tmp_path) == (begin if begin <= MOST else 0)
    assert again.ids() == again.listed() == again.vectors(sorted(exact.ids())).keys() == exact.ids()
    k = 600 if begin <= MOST else 9  # which of a few equal ones a graph finds first is its own affair
    for where in ({"n": {"$gte": 2}}, None):
        assert again.search(equal(1)[0], k, where) == exact.search(equal(1)[0], k, where)
    again.close()


def test_a_passage_can_join_and_leave_a_crowd(tmp_path: Path) -> None:
    chroma = ChromaStore(tmp_path / "c")
    chroma.add([f"p{i}" for i in range(40)], equal(40), [{}] * 40)
    chroma.add(["x"], equal(1, seed=1), [{}])
    chroma.add(["x"], equal(1), [{}])
    assert [score for id_, score in chroma.search(equal(1)[0], 99) if id_ == "x"] == [1.0]
    chroma.add(["p3"], equal(1, seed=1), [{}])
    assert [id_ for id_, score in chroma.search(equal(1, seed=1)[0], 99) if score == 1.0] == ["p3"]
    chroma.delete([f"p{i}" for i in range(40)])
    assert chroma.ids() == chroma.listed() == {"x"}
    chroma.close()


DAMAGES: dict[str, Callable[[Path], object]] = {"deleted": Path.unlink, "garbage": lambda path: path.write_bytes(b"x" * 9000)}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_lost_crowd_is_told_and_rebuild_brings_it_back(
    collections: Collections, settings: Settings, damage: Callable[[Path], object]
) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/log", *[SAME] * 100)])
    (path,) = settings.home.glob("**/crowds.sqlite")
    damage(path)
    async with collections.open("c") as collection:
        with pytest.raises(CollectionDamagedError, match="collections rebuild c"):
            await collection.search(SearchRequest(SAME))
    async with collections.open("c", write=True) as collection:
        await collection.rebuild()
        assert collection.verify() == []
        assert len(await collection.search(SearchRequest(SAME, k=200, mode="dense"))) == 100


def test_an_index_made_before_crowds_were_kept_apart_opens_and_goes_on(tmp_path: Path) -> None:
    first = ChromaStore(tmp_path / "c")
    first.add(["a", "b"], equal(2), [{"n": 1}, {}])
    first.close()
    (tmp_path / "c" / "crowds.sqlite").unlink()
    later = ChromaStore(tmp_path / "c")
    later.add([f"p{i}" for i in range(40)], equal(40), [{}] * 40)
    assert len(later.search(equal(1)[0], 99)) == 42
    later.delete(["a"])
    assert len(later.search(equal(1)[0], 99)) == 41
    later.close()
