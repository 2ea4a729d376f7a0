"""Old runs are forgotten, and the file is smaller afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import time

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord, RunStatus
from agentrag.journal.history import History
from agentrag.journal.retention import delete_runs
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

WORDS = "word " * 2000
DAY = 86400.0


async def fill(path: Path, runs: dict[str, RunStatus], *, reuse: bool = False) -> None:
    """A run a day, the last one today, each with 100 kB of answers; with `reuse` the first one pays for all."""
    journal = SqliteJournal(path, reuse=reuse)
    for run, status in runs.items():
        journal.begin(RunRecord(run, "g", sources={"graph": run}))
        for number in range(5):
            text = f"{number} {WORDS}" if reuse else f"{run} {number} {WORDS}"
            await Service().answer(called(text, run=run), journal)
        journal.settle(run, "s", 1)
        if status != "running":
            journal.end(run, status, b"{}")
    journal.close()
    with sqlite3.connect(path) as database:
        for age, run in enumerate(reversed(runs)):
            change = f"started = started - {age * DAY}, ended = ended - {age * DAY}"
            database.execute(f"UPDATE runs SET {change} WHERE run = ?", (run,))
            database.execute(f"UPDATE calls SET at = at - {age * DAY} WHERE run = (SELECT id FROM runs WHERE run = ?)", (run,))
    database.close()


def left(path: Path) -> list[str]:
    with History(path) as history:
        return [run.record.run for run in reversed(history.runs())]


def rows(path: Path, table: str) -> int:
    with sqlite3.connect(path) as database:
        (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


FOUR: dict[str, RunStatus] = {"1": "finished", "2": "failed", "3": "cancelled", "4": "finished"}


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"older_than": timedelta(days=1.5)}, ["3", "4"]),
        ({"keep": 1}, ["4"]),
        ({"keep": 0}, []),
        ({"keep": 9}, ["1", "2", "3", "4"]),
        ({"max_bytes": 260_000}, ["3", "4"]),
        ({"older_than": timedelta(days=2.5), "keep": 2}, ["3", "4"]),
        ({}, ["1", "2", "3", "4"]),
    ],
    ids=["age", "number", "none", "more than there are", "size", "age and number", "no rule"],
)
async def test_the_oldest_runs_go(path: Path, rule: dict[str, object], kept: list[str]) -> None:
    await fill(path, FOUR)
    before = path.stat().st_size
    deleted = delete_runs(path, **rule)  # type: ignore[arg-type]  # a table of cases
    assert left(path) == kept
    assert deleted.runs == 4 - len(kept)
    assert before - path.stat().st_size == pytest.approx(deleted.bytes, abs=200_000)
    assert deleted.bytes >= deleted.runs * 100_000
    assert path.stat().st_size < 120_000 * len(kept) + 60_000
    assert (rows(path, "answers"), rows(path, "settled"), rows(path, "texts")) == (
        5 * len(kept),
        len(kept),
        len(kept) + (1 if kept else 0),
    )


async def test_what_is_left_can_be_answered_from_and_added_to(path: Path) -> None:
    await fill(path, FOUR)
    open_meanwhile = SqliteJournal(path)
    delete_runs(path, keep=1)
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("4", "g"))
    assert (await service.recorded(called(f"4 0 {WORDS}", run="4"), journal)).reused
    journal.close()
    assert not (await service.recorded(called("new", run="4"), open_meanwhile)).reused
    open_meanwhile.close()


async def test_answers_that_later_runs_reuse_stay(path: Path) -> None:
    await fill(path, FOUR, reuse=True)
    assert delete_runs(path, keep=1).runs == 3
    assert rows(path, "answers") == 5
    journal = SqliteJournal(path)
    journal.begin(RunRecord("4", "g"))
    assert (await Service().recorded(called(f"3 {WORDS}", run="4"), journal)).value.startswith("1 3 word")
    journal.close()


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"keep": 0}, ["1", "2"]),
        ({"max_bytes": 0}, ["1", "2"]),
        ({"older_than": timedelta(0)}, ["1", "2"]),
        ({"keep": 0, "include_unfinished": True}, ["1", "2"]),
        ({"older_than": timedelta(days=2.5), "include_unfinished": True}, ["2", "3"]),
    ],
)
async def test_runs_that_may_be_worked_on_go_by_age_only_and_when_asked(
    path: Path, rule: dict[str, object], kept: list[str]
) -> None:
    await fill(path, {"1": "running", "2": "paused", "3": "finished"})
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE runs SET started = started - {2 * DAY} WHERE run = '1'")
        database.execute(f"UPDATE calls SET at = at - {2 * DAY} WHERE run = 1")
    database.close()
    delete_runs(path, **rule)  # type: ignore[arg-type]  # a table of cases
    assert left(path) == kept


async def test_the_parent_of_a_run_that_is_not_finished_stays(path: Path) -> None:
    await fill(path, {"1": "finished", "2": "finished"})
    journal = SqliteJournal(path)
    journal.begin(RunRecord("fork", "g", parent="1"))
    journal.close()
    assert delete_runs(path, keep=0).runs == 1
    assert left(path) == ["1", "fork"]


async def test_an_answer_that_was_deleted_meanwhile_is_paid_for_again(path: Path) -> None:
    await fill(path, {"parent": "finished"})
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("fork", "g", parent="parent"))
    journal.end("fork", "failed")
    journal.begin(RunRecord("fork", "g"))
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM answers")
    database.close()
    assert not (await service.recorded(called(f"parent 0 {WORDS}", run="fork"), journal)).reused
    journal.close()


def test_a_journal_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        delete_runs(path, keep=1)
    assert not path.exists()


async def test_a_run_that_is_worked_on_stays_with_the_run_that_it_was_forked_from(path: Path, tmp_path: Path) -> None:
    await fill(path, {"killed": "running", "parent": "finished", "old": "paused"})
    with closing(SqliteJournal(path)) as journal:
        journal.begin(RunRecord("fork", "g", parent="parent"))
        copy = tmp_path / "copy.sqlite"
        with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(copy)) as target:
            database.backup(target)
        for file, original in ((copy, path), (path, None)):
            deleted = delete_runs(file, timedelta(days=-1), include_unfinished=True, copy_of=original)
            assert (deleted.runs, left(file)) == (2, ["parent", "fork"])
        assert (await Service().recorded(called(f"parent 0 {WORDS}", run="fork"), journal)).reused
    assert delete_runs(path, timedelta(days=-1), include_unfinished=True).runs == 2


@pytest.mark.parametrize(("jump", "kept"), [(-400 * DAY, []), (400 * DAY, ["1"])], ids=["back", "forward"])
async def test_age_is_reckoned_from_the_time_that_the_clock_told(path: Path, jump: float, kept: list[str]) -> None:
    """What was recorded under a clock that was ahead stays, until the time that it told has come; other rules delete it."""
    with closing(SqliteJournal(path, clock=lambda: time() + jump)) as journal:
        journal.begin(RunRecord("1", "g"))
        journal.end("1", "finished")
    delete_runs(path, timedelta(days=30))
    assert left(path) == kept
    delete_runs(path, keep=0)
    assert left(path) == []
