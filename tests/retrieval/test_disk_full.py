"""A real file system that runs full while a collection is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collection import Chunk, Collection, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.writer import FLUSH
from agentrag.testing.fakes import WordEmbedder
from tests.retrieval.conftest import document, store, words


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with 6 MB of space."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True) if sys.platform == "linux" else None
    if done is None or done.returncode:
        reason = f"no small file system can be mounted here: {done.stderr.strip() if done else sys.platform}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def fill(collection: Collection) -> None:
    """Write documents until it fails."""
    async with collection.writer() as writer:
        for i in range(100_000):
            writer.begin(NewDocument(f"/d/{i}", "1"))
            await writer.add(f"/d/{i}", [Chunk(words(i), 0, 9), Chunk(words(-i - 1), 9, 18)])
            writer.finish(f"/d/{i}")


async def test_a_full_disk_is_told_and_what_was_complete_stays(small_disk: Path, tmp_path: Path) -> None:
    collections = Collections(Settings(home=small_disk, cache=tmp_path), WordEmbedder())
    async with collections.open("c", write=True) as collection:
        await store(collection, [document(f"/first/{i}", words(i)) for i in range(300)])
    async with collections.open("c", write=True) as collection:
        with pytest.raises(StoreError, match=r"the disk is full; what was complete is kept\. Free some space"):
            await fill(collection)
        held = collection.documents()
        assert {f"/first/{i}" for i in range(300)} <= held.keys()
        assert len(held) > 600
    freed(small_disk, 40)
    async with collections.open("c", write=True) as collection:
        assert collection.documents() == held
        assert collection.verify() == []
        assert (await collection.search(SearchRequest(words(7), k=1)))[0].text == words(7)


async def test_a_disk_that_is_full_when_the_index_is_written_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    collections = Collections(Settings(home=small_disk, cache=tmp_path), WordEmbedder())
    ballast = small_disk / "ballast"
    with pytest.raises(StoreError, match=r"disk is full|could not be written"):
        await write_until_only_the_index_is_left(collections, lambda: occupy(ballast, small_disk))
    ballast.unlink()
    async with collections.open("c") as collection:
        assert len(collection.documents()) == 2 * FLUSH
        assert collection.verify() == []
        assert (await collection.search(SearchRequest(words(99), k=1)))[0].source == "/d/99"


async def write_until_only_the_index_is_left(collections: Collections, then: Callable[[], None]) -> None:
    async with collections.open("c", write=True) as collection, collection.writer() as writer:
        for i in range(2 * FLUSH):  # the second batch is stored with its last document
            writer.begin(NewDocument(f"/d/{i}", "1"))
            await writer.add(f"/d/{i}", [Chunk(words(i), 0, 9)])
            writer.finish(f"/d/{i}")
        assert len(collection.documents()) == 2 * FLUSH
        then()


def freed(place: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(place)], check=True)


def occupy(ballast: Path, place: Path) -> None:
    """Leave 64 kB of space."""
    status = os.statvfs(place)
    ballast.write_bytes(b"x" * (status.f_bavail * status.f_frsize - 65_536))
