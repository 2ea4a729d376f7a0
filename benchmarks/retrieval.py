"""What a search costs beside embedding the query: ours at 20,000 passages, beside bare Chroma and bare bm25s in the same run.

Vectors are hashed words, projected to 384 numbers: the time of a search does not depend on what they mean. Bar: at most 5 ms
at the median for the hybrid search.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from agentrag.core.ports import Vectors
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.chroma import ChromaStore
from agentrag.retrieval.collection import Chunk, Collection, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.lexical import K1, B
from benchmarks.corpora import passages

COUNT, K, DEPTH = 20_000, 10, 50
ROUNDS = 3


class ProjectedWords:
    """Embeds a text as the sum of one random direction per word; known texts cost nothing."""

    name, dimensions = "projected-words", 384

    def __init__(self) -> None:
        self._directions: dict[str, Vectors] = {}
        self._known: dict[str, Vectors] = {}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), 384); rows of length 1."""
        return np.stack([self._known.setdefault(text, self._embedded(text)) for text in texts])

    def remember(self, texts: Sequence[str]) -> None:
        """Embed texts now, so that it costs nothing later."""
        for text in texts:
            self._known[text] = self._embedded(text)

    def _embedded(self, text: str) -> Vectors:
        if text in self._known:
            return self._known[text]
        total = sum((self._direction(word) for word in re.findall(r"\w+", text.lower())), np.zeros(384, dtype=np.float32))
        unit: Vectors = (total / (np.linalg.norm(total) + 1e-9)).astype(np.float32)
        return unit

    def _direction(self, word: str) -> Vectors:
        if word not in self._directions:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
            length = min(4.0, 0.2 * len(word))  # short words are frequent ones
            self._directions[word] = (np.random.default_rng(seed).normal(size=384) * length).astype(np.float32)
        return self._directions[word]


async def timed(queries: Iterable[str], ask: Callable[[str], Awaitable[object]]) -> tuple[list[float], float]:
    """Milliseconds of each query, and of processor per query."""
    seconds, begun, number = [], process_time(), 0
    for query in queries:
        start = perf_counter()
        await ask(query)
        seconds.append((perf_counter() - start) * 1e3)
        number += 1
    return seconds, (process_time() - begun) * 1e3 / number


async def fill(collection: Collection, texts: Sequence[str]) -> float:
    """Store passages; returns seconds."""
    begun = perf_counter()
    async with collection.writer() as writer:
        for number, text in enumerate(texts):
            source = f"/benchmark/{number}"
            writer.begin(NewDocument(source, "1", metadata={"part": number % 100}))
            await writer.add(source, [Chunk(text, 0, len(text))])
            writer.finish(source)
    return perf_counter() - begun


def bare_chroma(home: Path, embedder: ProjectedWords) -> Callable[[str], Awaitable[object]]:
    """Chroma's own query on the index that the collection made, to the depth of a fusion."""
    (folder,) = home.glob("collections/bench/chroma/*")
    store = ChromaStore(folder)

    async def ask(query: str) -> object:
        vector = (await embedder.embed([query]))[0]
        return store._passages.query(query_embeddings=vector, n_results=DEPTH, include=["distances"])

    return ask


def bare_bm25s(texts: Sequence[str]) -> Callable[[str], Awaitable[object]]:
    """bm25s as its documentation uses it, to the depth of a fusion."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    retriever = bm25s.BM25(k1=K1, b=B, method="lucene")
    retriever.index(bm25s.tokenize(list(texts), stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)

    async def ask(query: str) -> object:
        tokens = bm25s.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False)
        return retriever.retrieve(tokens, k=DEPTH, show_progress=False)

    return ask


def searching(collection: Collection, mode: str, **options: object) -> Callable[[str], Awaitable[object]]:
    """A search of ours."""

    async def ask(query: str) -> object:
        return await collection.search(SearchRequest(query, k=K, mode=mode, **options))  # type: ignore[arg-type]  # from a table

    return ask


async def measure(home: Path) -> None:
    """Fill a collection, then time everything in turn, and print."""
    texts, queries, origin = passages(COUNT)
    embedder = ProjectedWords()
    embedder.remember([*texts, *queries])
    collections = Collections(Settings(home=home, cache=home), embedder)
    async with collections.open("bench", write=True) as collection:
        seconds = await fill(collection, texts)
        print(f"{len(texts):,} {origin} stored and indexed in {seconds:.0f} s, embedding not counted")
    async with collections.open("bench") as collection:
        ways = {mode: searching(collection, mode) for mode in ("dense", "lexical", "rrf", "convex")}
        ways["convex, 2 neighbours"] = searching(collection, "convex", neighbours=2)
        ways["convex, where 1 %"] = searching(collection, "convex", where={"part": 7})
        ours = await rounds(ways, queries)
    bare = await rounds({"bare Chroma": bare_chroma(home, embedder), "bare bm25s": bare_bm25s(texts)}, queries)
    floor = sum(np.median(times) for times, _ in bare.values())
    print(f"{'ms per query':24}{'p50':>8}{'p99':>8}{'CPU':>8}   of bare Chroma + bare bm25s")
    for name, (times, cpu) in {**bare, **ours}.items():
        p50, p99 = np.percentile(times, [50, 99])
        print(f"{name:24}{p50:8.2f}{p99:8.2f}{cpu:8.2f}{p50 / floor:7.2f}x")


async def rounds(
    ways: dict[str, Callable[[str], Awaitable[object]]], queries: Sequence[str]
) -> dict[str, tuple[list[float], float]]:
    """Time all ways in turn, several times over, after one round that does not count."""
    found: dict[str, tuple[list[float], float]] = {}
    for name, ask in ways.items():
        await timed(queries[:20], ask)
        found[name] = ([], 0.0)
    for _ in range(ROUNDS):
        for name, ask in ways.items():
            times, cpu = await timed(queries, ask)
            found[name] = (found[name][0] + times, found[name][1] + cpu / ROUNDS)
    return found


def main() -> None:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(measure(Path(home)))


if __name__ == "__main__":
    main()
