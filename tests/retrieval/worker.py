"""What another process does to a collection, for the tests of locks and kills. Prints a line when it is ready.

Arguments: home folder, collection, and an action: "write PREFIX COUNT [SECONDS]" writes documents of three passages each and
prints every one that it was told is stored; "hold" opens for reading, searches and waits for the end of its input;
"search COUNT" searches again and again and prints how many passages it saw.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from agentrag.core.ports import Vectors
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collection import Chunk, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder


class SlowEmbedder(WordEmbedder):
    """Takes its time, so that there is time to be killed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def embed(self, texts: Sequence[str]) -> Vectors:
        await asyncio.sleep(self._seconds)
        return await super().embed(texts)


def passages(source: str) -> list[Chunk]:
    """The three passages of a document."""
    return [Chunk(f"{source} word{part}", part * 100, part * 100 + len(source) + 6) for part in range(3)]


def tell(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def write(collections: Collections, name: str, prefix: str, count: int) -> None:
    async with collections.open(name, write=True) as collection:
        tell("ready")
        async with collection.writer() as writer:
            shown: set[str] = set()
            for number in range(count):
                source = f"/{prefix}/{number}"
                writer.begin(NewDocument(source, "1"))
                await writer.add(source, passages(source))
                writer.finish(source)
                if number % 20 == 19:
                    stored = set(collection.documents()) - shown
                    shown |= stored
                    for one in sorted(stored):
                        tell(one)
    tell("done")


async def hold(collections: Collections, name: str) -> None:
    async with collections.open(name) as collection:
        await collection.search(SearchRequest("word1"))
        tell("snapshot" if collection.snapshot else "owner")
        await asyncio.to_thread(sys.stdin.read)


async def search(collections: Collections, name: str, count: int) -> None:
    for _ in range(count):
        async with collections.open(name) as collection:
            documents = collection.documents()
            for mode in ("dense", "lexical", "convex"):
                request = SearchRequest("word0 word1 word2", k=5000, mode=mode)
                found = await collection.search(request)
                if len(found) != 3 * len(documents) and collection.snapshot:
                    tell(f"torn: {mode} {len(found)} of {len(documents)}")
        tell(str(len(documents)))


async def main(home: str, name: str, action: str, *rest: str) -> None:
    settings = Settings(home=Path(home), cache=Path(home) / "cache")
    collections = Collections(settings, SlowEmbedder(float(rest[2]) if action == "write" and len(rest) > 2 else 0.0))
    if action == "write":
        await write(collections, name, rest[0], int(rest[1]))
    elif action == "hold":
        await hold(collections, name)
    else:
        await search(collections, name, int(rest[0]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
