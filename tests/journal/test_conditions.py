"""A journal that is locked, deleted, in a folder that may not be written, without file handles, under a clock that jumps."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import pytest

from agentrag.core.errors import InDoubtError, RunBusyError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.check import check
from agentrag.journal.history import History
from agentrag.journal.records import SEEN_SECONDS
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called, record_run, step_end

ROOT = Path(__file__).parents[2]
R = RunRecord("r", "g")
LOCKED = r"cannot be written: database is locked\. Another process writes it and does not end"
LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
database.execute("ROLLBACK")
"""


class Locker:
    """Another process that writes to a journal until it is told to end."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", LOCK, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "locked\n"

    def end(self) -> None:
        self.process.communicate("\n")


@contextmanager
def locked(path: Path) -> Iterator[Locker]:
    locker = Locker(path)
    try:
        yield locker
    finally:
        locker.end()


async def test_a_lock_that_is_given_back_in_time_is_waited_for(path: Path) -> None:
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        locker = Locker(path)
        threading.Timer(0.3, locker.end).start()
        begun = perf_counter()
        assert await Service().answer(called(), journal) == "1 Why?"
        assert perf_counter() - begun > 0.2
        journal.end("r", "finished")


async def test_an_answer_that_came_while_others_held_the_lock_is_paid_for_once(path: Path) -> None:
    service = Service()
    with closing(SqliteJournal(path, patience=0.1)) as journal:
        journal.begin(R)
        await service.answer(called("first"), journal)
        with locked(path):
            with pytest.raises(StoreError, match=LOCKED):
                await service.answer(called("second"), journal)
            with pytest.raises(StoreError, match=LOCKED):
                await service.answer(called("third"), journal)
            with pytest.raises(StoreError, match=LOCKED):
                journal.begin(R)
        journal.begin(R)
        for text in ("first", "second", "third"):
            await service.answer(called(text), journal)
        assert service.asked == ["first", "second", "third"]
        journal.end("r", "finished")
    with History(path) as history:
        assert (history.run("r").usage.calls, history.run("r").usage.reused) == (3, 0)


async def test_who_ends_a_run_while_others_hold_the_lock_can_end_it_later(path: Path) -> None:
    with closing(SqliteJournal(path, patience=0.1)) as journal:
        journal.begin(R)
        journal.note("r", "flow.0:a", "step", step_end("a"))
        with locked(path), pytest.raises(StoreError, match=LOCKED):
            journal.end("r", "finished")
        journal.end("r", "finished", b"{}")
    with History(path) as history:
        assert (history.run("r").status, len(history.notes("r"))) == ("finished", 1)


async def test_a_locked_journal_is_read_and_a_write_is_not_made_on_it(path: Path) -> None:
    await record_run(path, "old", ["x"])
    service, write = Service(), called(effect="write")
    with closing(SqliteJournal(path, patience=0.1)) as journal:
        journal.begin(R)
        with locked(path):
            with pytest.raises(StoreError, match=LOCKED):
                await service.answer(write, journal)
            assert service.asked == []
            with History(path) as history:
                assert history.run("old").status == "finished"
            with closing(SqliteJournal(path, patience=0.1)) as other, pytest.raises(StoreError, match=LOCKED):
                other.begin(RunRecord("other", "g"))
        assert await service.answer(write, journal) == "1 Why?"


async def test_a_write_that_was_made_while_others_held_the_lock_is_in_doubt_or_known_and_never_made_again(path: Path) -> None:
    for run, reopened in (("known", False), ("in doubt", True)):
        journal, write = SqliteJournal(path, patience=0.1), called(run=run, effect="write")
        service = LockedMeanwhile(path)
        journal.begin(RunRecord(run, "g"))
        with pytest.raises(StoreError, match=LOCKED):
            await service.answer(write, journal)
        if reopened:
            with pytest.raises(StoreError, match=LOCKED):
                journal.close()
            service.locker.end()
            journal = SqliteJournal(path)
            journal.begin(RunRecord(run, "g"))
            with pytest.raises(InDoubtError):
                await service.answer(write, journal)
        else:
            service.locker.end()
            assert (await service.recorded(write, journal)).reused
        assert service.asked == ["Why?"]
        journal.close()


class LockedMeanwhile(Service):
    """While it answers another process begins to write, and does not end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def _sleep(self) -> None:
        self.locker = Locker(self._path)


@contextmanager
def no_handles() -> Iterator[None]:
    """This process may open no file any more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_file_handles_a_run_goes_on_and_no_other_journal_is_opened(path: Path) -> None:
    await record_run(path, "old", ["x"])
    journal, service = SqliteJournal(path), Service()
    journal.begin(R)
    with no_handles():
        for number in range(50):
            await service.answer(called(f"{number} {'word ' * 1000}"), journal)
        journal.begin(RunRecord("another", "g"))
        for opened in (SqliteJournal, History):
            with pytest.raises(StoreError, match=r"Journal .*journal\.sqlite cannot be used: .*Too many open files"):
                opened(path)
        journal.end("r", "finished")
    journal.close()
    assert check(path).whole == ("old", "r", "another")


async def test_a_run_that_cannot_be_held_for_want_of_a_file_handle_is_not_begun(path: Path) -> None:
    await record_run(path, "old", ["x"])
    with closing(SqliteJournal(path)) as journal:
        with no_handles(), pytest.raises(StoreError, match=r"Journal .* cannot be written: .*Too many open files"):
            journal.begin(R)
        journal.begin(R)
        assert await Service().answer(called(), journal) == "1 Why?"


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.check import check
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
path = Path(sys.argv[1])
if os.geteuid() == 0:  # only now: the interpreter may be where nobody else may read
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""
READ_ONLY = """
with History(path) as history:
    print(history.run("old").status, [past.alive for past in history.runs()])
print(check(path).is_whole)
try:
    SqliteJournal(path).begin(RunRecord("r", "g"))
except StoreError as error:
    print(error)
"""
NOT_READ = """
try:
    History(path)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others can reach: pytest's own ones are for one user."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("held", [False, True], ids=["at rest", "worked on"])
@pytest.mark.parametrize("file_mode", [0o644, 0o666], ids=["file too", "folder only"])
async def test_in_a_folder_that_may_not_be_written_runs_are_read_and_none_begun(
    shared: Path, file_mode: int, held: bool
) -> None:
    path = shared / "journal.sqlite"
    await record_run(path, "old", ["x"])
    with closing(SqliteJournal(path)) as journal:
        if held:
            journal.begin(R)
        else:
            journal.close()
        for file in shared.iterdir():
            file.chmod(file_mode if file == path else 0o644)
        shared.chmod(0o555)
        told = printed(READ_ONLY, path)
        shared.chmod(0o755)
    assert told[:2] == [f"finished {[True, False] if held else [False]}", "True"]
    assert re.fullmatch(rf"Journal {path} cannot be (used|written): .*(ermission|ermitted|readonly database).*", told[2])


async def test_a_journal_that_may_not_be_read_is_told_in_one_line(shared: Path) -> None:
    path = shared / "journal.sqlite"
    await record_run(path, "old", ["x"])
    (told,) = printed(NOT_READ, path)
    assert told.startswith(f"Journal {path} cannot be used: [Errno 13] Permission denied")


def printed(code: str, path: Path) -> list[str]:
    """Lines that a process prints which gives up the rights that a superuser has."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WITHOUT_RIGHTS + code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_journal_that_was_deleted_while_it_was_open_stops_its_runs(path: Path, replaced: bool) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(R)
    await service.answer(called("first"), journal)
    for file in (path, path.with_name("journal.sqlite-wal"), path.with_name("journal.sqlite-shm")):
        file.unlink()
    if replaced:
        await record_run(path, "another", ["x"])
    sleep(1.5 * SEEN_SECONDS)
    gone = r"Journal .*journal\.sqlite was deleted or replaced while it was open\. Nothing more is recorded in it\."
    with pytest.raises(StoreError, match=gone):
        await service.answer(called("second"), journal)
    for begun in (R, RunRecord("new", "g")):
        with pytest.raises(StoreError, match=gone):
            journal.begin(begun)
    assert service.asked == ["first"]
    assert (await service.recorded(called("first"), journal)).reused
    journal.close()
    with closing(SqliteJournal(path)) as again:
        again.begin(R)
        assert not (await service.recorded(called("first"), again)).reused


class Clock:
    """A clock that is put where a test wants it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
JUMPS = [timedelta(days=-400), timedelta(seconds=-1), timedelta(days=400)]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_clock_that_jumps_changes_no_order_and_no_run_ends_before_it_began(path: Path, jump: timedelta) -> None:
    clock, service = Clock(NOON.timestamp()), Service()
    with closing(SqliteJournal(path, clock=clock)) as journal:
        journal.begin(RunRecord("first", "g"))
        await service.answer(called("0", run="first", step="flow.0:a"), journal)
        journal.note("first", "flow.0:a", "step", step_end("a"))
        clock.now += jump.total_seconds()
        await service.answer(called("1", run="first", step="flow.1:b"), journal)
        journal.note("first", "flow.1:b", "step", step_end("b"))
        journal.end("first", "finished")
        journal.begin(RunRecord("second", "g"))
        journal.end("second", "finished")
    with History(path) as history:
        assert [past.record.run for past in history.runs()] == ["second", "first"]
        assert [call.step for call in history.calls("first")] == ["flow.0:a", "flow.1:b"]
        assert [step.step for step in history.steps("first")] == ["flow.0:a", "flow.1:b"]
        first, second = history.run("first"), history.run("second")
    assert (first.started, first.ended) == (NOON, max(NOON, NOON + jump))
    assert second.started == second.ended == NOON + jump
    assert 0 <= first.seconds < 5


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_run_is_gone_on_with_whatever_the_clock_says(path: Path, jump: timedelta) -> None:
    clock, service = Clock(NOON.timestamp()), Service(failing=1)
    write = called("send", effect="write")
    with closing(SqliteJournal(path, clock=clock)) as journal:
        journal.begin(R)
        with pytest.raises(ConnectionError):
            await service.answer(write, journal)
        await service.answer(called(sampled=True), journal)
        journal.settle("r", "flow.1:ask", "yes")
        journal.end("r", "failed")
    clock.now += jump.total_seconds()
    with closing(SqliteJournal(path, clock=clock)) as journal:
        journal.begin(R)
        assert (await service.recorded(called(sampled=True), journal)).reused
        assert journal.settled("r", "flow.1:ask") == "yes"
        with pytest.raises(InDoubtError) as caught:
            await service.answer(write, journal)
        assert caught.value.idempotency_key == write.idempotency_key
        with closing(SqliteJournal(path, clock=clock)) as other, pytest.raises(RunBusyError):
            other.begin(R)
    assert service.asked == ["send", "Why?"]
