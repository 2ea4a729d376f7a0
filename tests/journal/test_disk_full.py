"""A real file system that runs full in the middle of a run."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.app import Graph
from agentrag.core.errors import InDoubtError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.graph.forms.python import repeat
from agentrag.journal.check import check
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.sample_nodes import Ask
from tests.journal.conftest import Service, called

R = RunRecord("r", "g")
LONG = "a long text " * 1000
ROUNDS = 50
Free = Callable[[], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Free]]:
    """A journal's place with 1 MB of space, and what gives it more."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True) if sys.platform == "linux" else None
    if done is None or done.returncode:
        reason = f"no small file system can be mounted here: {done.stderr.strip() if done else sys.platform}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def free() -> None:
        subprocess.run(["mount", "-o", "remount,size=40m", str(place)], check=True)

    yield place / "journal.sqlite", free
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def fill(journal: SqliteJournal, service: Service) -> int:
    """Make calls of 24 kB until one cannot be recorded; its number."""
    for number in range(500):
        try:
            await service.answer(called(f"{number} {LONG}", sampled=True), journal)
        except StoreError as error:
            told = re.compile(r"cannot be written: database or disk is full\. What was recorded is kept: free some space")
            if not told.search(str(error)):
                raise
            return number
    raise AssertionError("the disk was never full")


@pytest.mark.parametrize("reopened", [False, True], ids=["the same journal", "another journal"])
async def test_after_space_was_freed_only_what_could_not_be_recorded_is_paid_for_again(
    small_disk: tuple[Path, Free], reopened: bool
) -> None:
    path, free = small_disk
    journal, service = SqliteJournal(path), Service()
    journal.begin(R)
    failed = await fill(journal, service)
    if reopened:
        with pytest.raises(StoreError, match="disk is full"):
            journal.close()
        free()
        journal = SqliteJournal(path)
    else:
        free()
    journal.begin(R)
    for number in range(failed + 5):
        await service.answer(called(f"{number} {LONG}", sampled=True), journal)
    journal.end("r", "finished")
    journal.close()
    twice = [text.partition(" ")[0] for text, count in Counter(service.asked).items() if count > 1]
    assert twice == ([str(failed)] if reopened else [])
    assert len(service.asked) == failed + 5 + len(twice)
    with History(path) as history:
        assert (history.run("r").status, history.run("r").usage.calls) == ("finished", failed + 5)
    assert check(path).is_whole


async def test_on_a_full_disk_no_further_call_is_made(small_disk: tuple[Path, Free]) -> None:
    path, free = small_disk
    with closing(SqliteJournal(path)) as journal:
        service = Service()
        journal.begin(R)
        failed = await fill(journal, service)
        for number in range(3):
            with pytest.raises(StoreError, match="disk is full"):
                await service.answer(called(f"{number} other {LONG}", sampled=True), journal)
        assert len(service.asked) == failed + 1
        free()
        assert (await service.recorded(called(f"{failed} {LONG}", sampled=True), journal)).reused


async def test_a_write_that_was_made_on_a_full_disk_is_not_made_again(small_disk: tuple[Path, Free]) -> None:
    path, free = small_disk
    journal, service = SqliteJournal(path), Service()
    journal.begin(R)
    write = called(f"send {LONG * 20}", effect="write")
    while path.with_name("journal.sqlite-wal").stat().st_size < 300_000:  # room for the intent, not for the answer
        await service.answer(called(f"{len(service.asked)} {LONG}"), journal)
    with pytest.raises(StoreError, match="disk is full"):
        await service.answer(write, journal)
    made = service.asked.count(f"send {LONG * 20}")
    with pytest.raises(StoreError, match="disk is full"):
        journal.close()
    free()
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        with pytest.raises(InDoubtError):
            await service.answer(write, journal)
    assert service.asked.count(f"send {LONG * 20}") == made == 1


async def test_two_runs_that_meet_a_full_disk_both_go_on(small_disk: tuple[Path, Free]) -> None:
    path, free = small_disk
    service = Service(seconds=0.001)
    with closing(SqliteJournal(path)) as journal:
        for run in "ab":
            journal.begin(RunRecord(run, "g"))

        async def work(run: str) -> None:
            for number in range(40):
                await service.answer(called(f"{run} {number} {LONG}", run=run), journal)

        told = await asyncio.gather(work("a"), work("b"), return_exceptions=True)
        assert [type(error) for error in told] == [StoreError, StoreError]
        free()
        await asyncio.gather(work("a"), work("b"))
        assert set(Counter(service.asked).values()) == {1}
        assert len(service.asked) == 80


async def test_a_graph_on_a_full_disk_fails_once_and_goes_on_from_its_record(small_disk: tuple[Path, Free]) -> None:
    path, free = small_disk
    model = ScriptedModel(lambda request: f"{len(model.requests)} {LONG}")
    agent = Graph(
        "full",
        nodes={"ask": Ask(prompt="chat/condense", out={"answer": "question"})},
        flow=[repeat(["ask"], at_most=ROUNDS)],
        inputs={"question": "str", "history": {"type": "history", "default": []}},
        outputs=["question"],
        models={"writer": "default"},
    )
    with pytest.raises(StoreError, match="disk is full"), closing(SqliteJournal(path)) as journal:
        await agent.run(fake_deps(model).but(journal=journal, run="r"), question="Why?")
    free()
    before = len(model.requests)
    with History(path) as history:
        recorded = history.run("r")
    assert (recorded.status, recorded.alive, recorded.usage.calls) == ("running", False, before - 1)
    with closing(SqliteJournal(path)) as journal:
        await agent.run(fake_deps(model).but(journal=journal, run="r"), question="Why?")
    with History(path) as history:
        assert (history.run("r").status, history.run("r").usage.calls) == ("finished", ROUNDS)
    assert len(model.requests) == ROUNDS + 1
