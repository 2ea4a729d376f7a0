"""Several real processes on one collection, and processes killed while they write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agentrag.core.errors import CollectionBusyError
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collections import Collections
from tests.retrieval.conftest import document, store

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Starts the worker on collection `c`; whatever still runs at the end is killed."""
    started: list[Process] = []

    def run(*arguments: object) -> Process:
        command = [sys.executable, "-X", "faulthandler", str(WORKER), str(settings.home), "c", *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def test_a_second_writer_is_told_who_writes(start: Start, collections: Collections) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/a", "word1")])
    holder = start("hold")
    assert line(holder) == "owner"
    with pytest.raises(CollectionBusyError, match=f"in use by process {holder.pid};") as caught:
        collections.open("c", write=True)
    assert caught.value.pid == holder.pid
    holder.communicate("")
    collections.open("c", write=True).close()


async def test_a_second_reader_gets_a_snapshot_that_finds_the_same(start: Start, collections: Collections) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document(f"/{i}", f"word{i} apple", f"pear{i}") for i in range(50)])
    holder = start("hold")
    assert line(holder) == "owner"
    async with collections.open("c") as view:
        assert view.snapshot
        found, version = await view.search(SearchRequest("word7 pear9", k=4)), view.version
        with pytest.raises(CollectionBusyError):
            view.verify()
    holder.communicate("")
    async with collections.open("c") as owner:
        assert not owner.snapshot
        again = await owner.search(SearchRequest("word7 pear9", k=4))
        assert [passage.id for passage in again[:2]] == [passage.id for passage in found[:2]]
        assert owner.version == version


async def test_a_snapshot_stays_what_it_was_while_another_process_writes(start: Start, collections: Collections) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/old", "word0")])
    writer = start("write", "new", 400, 0.2)
    assert line(writer) == "ready"
    async with collections.open("c") as view:
        assert view.snapshot
        before, version = view.documents(), view.version
        while not line(writer).startswith("/new/"):
            pass  # until more is stored
        assert (view.documents(), view.version) == (before, version)
        assert len(await view.search(SearchRequest("word0", k=999, mode="dense"))) == sum(d.passages for d in before.values())
    writer.communicate()
    async with collections.open("c") as after:
        assert len(after.documents()) == 401


async def test_two_writers_at_once_lose_nothing(start: Start, collections: Collections) -> None:
    first, second = start("write", "a", 300), start("write", "b", 300)
    outcomes = [process.communicate(timeout=120) for process in (first, second)]
    won = [process.returncode == 0 for process in (first, second)]
    # whoever came second was refused, unless the first had already ended
    assert any(won)
    for (_, errors), fine in zip(outcomes, won, strict=True):
        assert fine or "CollectionBusyError" in errors
    async with collections.open("c") as collection:
        assert len(collection.documents()) == 300 * sum(won)
        assert collection.verify() == []


async def test_three_readers_beside_a_writer_see_whole_documents_and_nothing_breaks(
    start: Start, collections: Collections
) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/old", "word0 a", "word1 b", "word2 c")])
    writer = start("write", "w", 600, 0.1)
    assert line(writer) == "ready"
    readers = [start("search", 4) for _ in range(3)]
    for reader in readers:
        out, errors = reader.communicate(timeout=120)
        assert (reader.returncode, errors) == (0, "")
        assert "torn" not in out
    out, errors = writer.communicate(timeout=120)
    assert writer.returncode == 0, errors
    async with collections.open("c") as collection:
        assert len(collection.documents()) == 601
        assert collection.verify() == []


KILL_AFTER = [0.05, 0.3, 0.9]


@pytest.mark.parametrize("seconds", KILL_AFTER)
async def test_a_killed_writer_loses_nothing_that_was_complete(start: Start, collections: Collections, seconds: float) -> None:
    await killed_and_whole(start, collections, seconds)


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [step * 0.1 for step in range(40)])
async def test_a_writer_killed_at_any_time_loses_nothing(start: Start, collections: Collections, seconds: float) -> None:
    await killed_and_whole(start, collections, seconds)


async def killed_and_whole(start: Start, collections: Collections, seconds: float) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document(f"/w/{i}", "old version", fingerprint="0") for i in range(30)])
    writer = start("write", "w", 3000, 0.02)
    assert line(writer) == "ready"
    time.sleep(seconds)
    writer.kill()
    out, _ = writer.communicate()
    told = {told for told in out.split() if told.startswith("/w/")}
    async with collections.open("c", write=True) as collection:
        held = collection.documents()
        assert told <= held.keys()
        assert {f"/w/{i}" for i in range(30)} <= held.keys()
        for source, stored in held.items():
            assert stored.passages == (1 if stored.fingerprint == "0" else 3), source
        assert collection.verify() == []
        everything = await collection.search(SearchRequest("version word0 word1 word2", k=20_000, mode="lexical"))
        assert len(everything) == sum(stored.passages for stored in held.values())
        # and it goes on from there
        await store(collection, [document("/after", "afterwards")])
        assert (await collection.search(SearchRequest("afterwards", k=1)))[0].source == "/after"


async def test_a_kill_while_the_vector_index_is_written_leaves_one_that_is_made_anew(
    start: Start, collections: Collections, settings: Settings
) -> None:
    home = settings.home / "collections" / "c"
    writer = start("write", "w", 1600)
    while not list(home.glob("chroma/*/*/data_level0.bin")) and writer.poll() is None:
        time.sleep(0.005)
    writer.kill()
    writer.communicate()
    connection = sqlite3.connect(home / "collection.sqlite")
    assert '"writing"' in connection.execute("SELECT value FROM meta WHERE key = 'vectors'").fetchone()[0]
    connection.close()
    async with collections.open("c") as collection:
        assert collection.verify() == []
        count = len(collection.documents())
        assert len(await collection.search(SearchRequest("word1", k=10_000, mode="lexical"))) == count


async def test_a_killed_reader_leaves_no_trace(start: Start, collections: Collections) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/a", "word1")])
    holder = start("hold")
    assert line(holder) == "owner"
    holder.kill()
    holder.communicate()
    with suppress(CollectionBusyError):  # the lock goes with the process, which may still be going
        collections.open("c", write=True).close()
    time.sleep(0.1)
    async with collections.open("c", write=True) as collection:
        assert collection.verify() == []
