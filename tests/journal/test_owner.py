"""One process at a time works on a run, and one that was killed gives it back at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.errors import RunBusyError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

ROOT = Path(__file__).parents[2]
R = RunRecord("r", "g")

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts the worker, which then waits for lines; whatever still runs at the end is killed."""
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        command = [sys.executable, str(Path(__file__).with_name("racing_worker.py")), str(path), *arguments]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, env=environment)
        started.append(process)
        assert said(process) == "ready"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: Process, run: str) -> None:
    """Make a worker begin a run."""
    assert process.stdin is not None
    process.stdin.write(f"{run}\n")
    process.stdin.flush()


def working(start: Start, *arguments: str) -> Process:
    """A process that works on the run r."""
    process = start(*arguments)
    ask(process, "r")
    assert said(process) == "won"
    return process


def locks(path: Path) -> list[str]:
    return [file.name for file in path.parent.glob("*.lock")]


async def test_a_run_that_another_process_works_on_is_refused_with_its_id(start: Start, path: Path) -> None:
    process = working(start)
    with closing(SqliteJournal(path)) as journal:
        with pytest.raises(RunBusyError, match=f"Run r is worked on by process {process.pid}") as caught:
            journal.begin(R)
        assert (caught.value.run, caught.value.pid) == ("r", process.pid)
        with pytest.raises(RunBusyError):
            await Service().answer(called(), journal)
        journal.begin(RunRecord("another", "g"))


def test_a_killed_process_gives_its_run_back_at_once(start: Start, path: Path) -> None:
    process = working(start)
    process.kill()
    process.wait()
    assert len(locks(path)) == 1
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        assert [name.split("-")[1] for name in locks(path)] == [str(os.getpid())]
    assert locks(path) == []


def test_a_killed_process_whose_child_lives_on_gives_its_run_back_too(start: Start, path: Path) -> None:
    process = working(start, "with a child")
    child = int(said(process))
    process.kill()
    process.wait()
    try:
        os.kill(child, 0)
        with closing(SqliteJournal(path)) as journal:
            journal.begin(R)
    finally:
        os.kill(child, 9)


def test_a_process_id_that_another_process_got_does_not_hold_a_run(path: Path) -> None:
    SqliteJournal(path).close()
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET owner = ?", (f"{os.getpid()}-0123456789abcdef",))
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)


@pytest.mark.parametrize("owner", ["", "no owner", "../../x", "7-0123456789abcdef"])
def test_an_owner_that_nobody_is_holds_no_run(path: Path, owner: str) -> None:
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET owner = ?", (owner,))
    with History(path) as history:
        assert not history.run("r").alive
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)


def test_another_journal_of_the_same_process_is_refused_too(path: Path) -> None:
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        first.begin(R)
        with pytest.raises(RunBusyError, match="by another journal of this process"):
            second.begin(R)
        first.close()
        second.begin(R)


def test_by_whatever_name_a_journal_is_opened_it_is_the_same(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "linked.sqlite"
    link.symlink_to(path)
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(link)) as second:
        first.begin(R)
        with pytest.raises(RunBusyError):
            second.begin(R)


@pytest.mark.parametrize("status", ["finished", "failed", "paused", "cancelled"])
def test_a_run_that_ended_is_free_while_its_journal_is_open(path: Path, status: str) -> None:
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        first.begin(R)
        first.end("r", status)  # type: ignore[arg-type]  # a table of cases
        second.begin(R)
        with pytest.raises(RunBusyError):
            first.begin(R)


def test_what_comes_after_the_end_does_not_take_the_run_back(path: Path) -> None:
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        first.begin(R)
        first.end("r", "cancelled")
        first.note("r", "flow.0:a", "step", {"node": "a"})
        second.begin(R)
        with History(path) as history:
            assert history.run("r").alive
        first.end("r", "cancelled")
        with pytest.raises(RunBusyError):
            SqliteJournal(path).begin(R)


async def test_one_journal_may_begin_its_run_again(path: Path) -> None:
    service = Service()
    with closing(SqliteJournal(path)) as journal:
        for _ in range(3):
            journal.begin(R)
            assert await service.answer(called(), journal) == "1 Why?"


async def test_a_run_that_was_never_begun_is_held_until_its_journal_is_closed(path: Path) -> None:
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        await Service().answer(called(), first)
        with pytest.raises(RunBusyError):
            await Service().answer(called("other"), second)
        first.close()
        await Service().answer(called("other"), second)


def test_history_tells_runs_that_are_worked_on_from_runs_whose_process_was_killed(start: Start, path: Path) -> None:
    process = working(start)
    with History(path) as history:
        assert (history.run("r").status, history.run("r").alive) == ("running", True)
        process.kill()
        process.wait()
        assert (history.run("r").status, history.run("r").alive) == ("running", False)


@pytest.mark.parametrize("rounds", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_of_two_processes_that_begin_a_run_at_the_same_moment_one_wins(start: Start, rounds: int) -> None:
    racers = [start(), start()]
    winners = set[int]()
    for number in range(rounds):
        for process in racers if number % 2 else reversed(racers):
            ask(process, f"r{number}")
        told = [said(process) for process in racers]
        winner = racers[told.index("won")]
        winners.add(winner.pid)
        assert sorted(told) == [f"busy {winner.pid}", "won"]
    assert winners <= {process.pid for process in racers}


def test_what_killed_processes_left_is_removed(start: Start, path: Path) -> None:
    kept = path.with_name("journal.sqlite-1-0123456789abcdef.lock.txt")
    kept.touch()
    for process in [start(), start(), start()]:
        ask(process, f"of {process.pid}")
        assert said(process) == "won"
        process.kill()
        process.wait()
    living = working(start)
    assert [name.split("-")[1] for name in locks(path)] == [str(living.pid)]
    assert kept.exists()


def test_a_journal_that_an_older_version_made_is_read_and_taken_over(path: Path) -> None:
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE runs DROP COLUMN owner")
    before = path.read_bytes()
    with History(path) as history:
        assert not history.run("r").alive
    assert path.read_bytes() == before
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        first.begin(R)
        with pytest.raises(RunBusyError):
            second.begin(R)


def test_an_older_version_can_still_write_the_journal(path: Path) -> None:
    """These are its statements."""
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO texts (hash, body) VALUES (x'00', '{}')")
        database.execute(
            """INSERT INTO runs (run, graph, ref, tenant, status, parent, cut, inputs, parts, sources, options, started)
               VALUES ('r', 'g', '', '', 'running', NULL, NULL, '{}', 1, 1, '{}', 0)"""
        )
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        with closing(sqlite3.connect(path)) as database, database:
            update = "UPDATE runs SET status = ?, ended = ?, seconds = seconds + ?, outputs = ?, error = ? WHERE id = ?"
            database.execute(update, ("finished", 1.0, 1.0, b"{}", "", 1))
    with History(path) as history:
        assert (history.run("r").status, history.run("r").alive) == ("finished", False)


async def test_who_meets_an_older_version_on_its_run_is_told_and_leaves_it_alone(path: Path) -> None:
    """That knows no owners, so it takes the run."""
    with closing(SqliteJournal(path)) as first, closing(SqliteJournal(path)) as second:
        first.begin(R)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE runs SET owner = NULL")
        second.begin(R)
        await Service().answer(called(), first)
        for _ in range(2):
            with pytest.raises(StoreError, match="another process carries on the same run, and was first"):
                await Service().answer(called(), second)
        assert not (await Service().recorded(called("other"), first)).reused
