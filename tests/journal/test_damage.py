"""Files that are no journal, damaged ones, and a disk that is full."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called, record_run

LONG = "a long text " * 1000


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def fill(journal: SqliteJournal, service: Service) -> None:
    """Record more than 1 MB."""
    for number in range(1, 100):
        await service.answer(called(f"{number} {LONG}"), journal)


@pytest.mark.parametrize("open_it", [SqliteJournal, History, lambda path: ReplayJournal(path, "r")])
def test_a_file_that_is_no_database_is_refused_in_one_line(path: Path, open_it: Callable[[Path], object]) -> None:
    path.write_text("something else, long enough to be read as a page " * 50, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"Journal .*journal\.sqlite cannot be used: file is not a database$"):
        open_it(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused_and_not_touched(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE calls (number TEXT)")
    database.close()
    before = path.read_bytes()
    for open_it in (SqliteJournal, History):
        with pytest.raises(StoreError, match="it is an SQLite file of something else"):
            open_it(path)
    assert path.read_bytes() == before


async def test_damage_in_one_run_leaves_the_others_readable(path: Path) -> None:
    await record_run(path, "first", [f"{i} {LONG}" for i in range(3)])
    await record_run(path, "second", [f"{i} other {LONG}" for i in range(3)])
    data = path.read_bytes()
    begin = data.index(b'"1 0 ' + LONG[:20].encode())
    path.write_bytes(data[:begin] + b"\xff" * 8 + data[begin + 8 :])
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("first", "g"))
    with pytest.raises(
        StoreError, match=r"Journal .* cannot be read: its answer to the tool call of step flow\.0:a in run first"
    ):
        await service.answer(called(f"0 {LONG}", run="first", step="flow.0:a"), journal)
    journal.begin(RunRecord("second", "g"))
    assert await service.answer(called(f"2 other {LONG}", run="second", step="flow.2:a"), journal) == f"3 2 other {LONG}"
    assert service.asked == []
    journal.close()


async def test_a_file_cut_short_is_told_with_what_sqlite_said(path: Path) -> None:
    await record_run(path, "r", [f"{i} {LONG}" for i in range(3)])
    path.write_bytes(path.read_bytes()[: 4096 * 9])
    with pytest.raises(
        StoreError, match=r"Journal .*journal\.sqlite cannot be (used|read|written): database disk image is malformed"
    ):
        await record_run(path, "r", [f"{i} {LONG}" for i in range(3)])


async def test_a_full_disk_is_told_and_what_was_recorded_stays(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("r", "g"))
    await service.answer(called("0"), journal)
    journal.note("r", "flow.0:write", "step", {"node": "write"})
    with file_size_limit(200_000), pytest.raises(StoreError, match=r"cannot be written: .*free some space and resume") as told:
        await fill(journal, service)
    assert isinstance(told.value.__cause__, sqlite3.Error)
    made = len(service.asked)
    assert await service.answer(called("after"), journal) == f"{made + 1} after"
    journal.end("r", "finished")
    journal.close()
    with History(path) as history:
        assert history.run("r").usage.calls == made + 1
        assert [note.step for note in history.notes("r")] == ["flow.0:write"]
