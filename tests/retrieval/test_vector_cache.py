from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agentrag.core.ports import Vectors
from agentrag.retrieval.vector_cache import CachedEmbedder, VectorCache, cache_key
from agentrag.testing.fakes import WordEmbedder


class CountingEmbedder(WordEmbedder):
    """Remembers what it was asked."""

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        return await super().embed(texts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "vectors.sqlite"


async def test_each_text_is_embedded_once_also_by_a_later_process(path: Path) -> None:
    inner = CountingEmbedder()
    first = await CachedEmbedder(inner, VectorCache(path)).embed(["a b", "c", "a b"])
    again = await CachedEmbedder(inner, VectorCache(path)).embed(["c", "new", "a b"])
    assert inner.asked == ["a b", "c", "new"]
    assert np.array_equal(again[[2, 0, 2]], first)
    assert np.array_equal(again, await WordEmbedder().embed(["c", "new", "a b"]))


async def test_the_vectors_of_another_embedder_are_not_taken(path: Path) -> None:
    one, other = CountingEmbedder("one"), CountingEmbedder("other")
    for embedder in (one, other):
        await CachedEmbedder(embedder, VectorCache(path)).embed(["text"])
    assert (one.asked, other.asked) == (["text"], ["text"])


async def test_no_texts_give_no_vectors(path: Path) -> None:
    assert (await CachedEmbedder(CountingEmbedder(), VectorCache(path)).embed([])).shape == (0, 256)


async def test_thousands_of_texts_come_back_in_order(path: Path) -> None:
    embedder = CachedEmbedder(CountingEmbedder(), VectorCache(path))
    texts = [f"word{i}" for i in range(1700)]
    await embedder.embed(texts)
    assert np.array_equal(await embedder.embed(texts[::-1]), await WordEmbedder().embed(texts[::-1]))


@pytest.mark.parametrize("trouble", ["garbage", "a folder", "read-only"])
async def test_a_cache_that_cannot_be_used_only_costs_time(path: Path, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    if trouble == "garbage":
        path.write_bytes(b"this is no database" * 500)
    elif trouble == "a folder":
        path.mkdir()
    else:
        path = Path("/proc/agentrag/vectors.sqlite")
    inner = CountingEmbedder()
    embedder = CachedEmbedder(inner, VectorCache(path))
    for _ in range(2):
        assert np.array_equal(await embedder.embed(["a"]), await WordEmbedder().embed(["a"]))
    assert inner.asked == ["a", "a"]
    assert [record.levelname for record in caplog.records if record.name.startswith("agentrag")] == ["WARNING"]
    assert "out of use" in caplog.text


def test_several_processes_fill_one_cache(path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from agentrag.retrieval.vector_cache import VectorCache\n"
        "cache = VectorCache(Path(sys.argv[1]))\n"
        "for i in range(60):\n"
        "    keys = [f'{name}{i}'.encode() for name in ('shared', sys.argv[2])]\n"
        "    cache.put({key: np.full(8, i, dtype=np.float32) for key in keys})\n"
        "    assert len(cache.get(keys)) == 2\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], stderr=subprocess.PIPE, text=True) for name in "abc"
    ]
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    keys = [f"{name}{i}".encode() for name in ("shared", "a", "b", "c") for i in range(60)]
    held = VectorCache(path).get(keys)
    assert len(held) == 240
    assert held[b"b59"].tolist() == [59.0] * 8


def test_the_key_depends_on_embedder_and_text() -> None:
    keys = {cache_key(name, text) for name, text in [("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""), ("", "ab")]}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}
