"""Files that are no journal, damaged ones, and a disk that is full."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord
from agentrag.core.types import Completion
from agentrag.journal.check import check
from agentrag.journal.export import export_cassette
from agentrag.journal.history import History
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import COMPLETION, Service, called, chat, record_run, step_end

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


NO_JSON = ("{", "", "\x00", b"\xff\xfe")
TABLES = {
    "runs.inputs": "what was given to the inputs",
    "texts.body": "the text of the graph",
    "runs.options": "how it was started",
    "runs.outputs": "the outputs",
    "notes.body": "a note of step flow.0:a",
}
VALUES = {
    "settled.value": "what was decided at flow.1:ask",
    "answers.request": "the request of a call of step flow.0:a",
    "answers.body": "the answer to a call of step flow.0:a",
}
"""What stands in columns of JSON, which must be a table in those of the first kind."""
DAMAGES = [
    *((column, what, damage) for column, what in {**TABLES, **VALUES}.items() for damage in NO_JSON),
    *((column, what, damage) for column, what in TABLES.items() for damage in ("[1]", "7", '"text"')),
]


@pytest.mark.parametrize(("column", "what", "damage"), DAMAGES, ids=repr)
async def test_a_damaged_record_is_named_with_its_run_and_other_runs_stay_readable(
    path: Path, column: str, what: str, damage: str | bytes
) -> None:
    table, _, name = column.partition(".")
    await record_chat(path, "whole")
    await record_chat(path, "broken")
    where = {"runs": "run = 'broken'", "texts": "body LIKE '%broken%'", "answers": "request LIKE '%broken%'"}
    with closing(sqlite3.connect(path)) as database, database:
        stored = "CAST(? AS TEXT)" if isinstance(damage, bytes) else "?"
        database.execute(f"UPDATE {table} SET {name} = {stored} WHERE {where.get(table, 'run = 2')}", (damage,))
    with History(path) as history:
        with pytest.raises(StoreError, match="of run broken is damaged") as told:
            read_all(history, "broken")
        assert what in str(told.value) or "a text of" in str(told.value)
        read_all(history, "whole")
        assert [past.record.run for past in history.runs()] == ["broken", "whole"]
        expected = history.expected("g")
        assert expected is not None
    found = check(path)
    assert (found.faults, found.whole, list(found.damaged)) == ((), ("whole",), ["broken"])
    export_cassette(path, found.whole, path.with_name("saved.sqlite"))
    assert check(path.with_name("saved.sqlite")).is_whole


async def record_chat(path: Path, run: str) -> None:
    """A finished run with a record of every kind."""
    with closing(SqliteJournal(path)) as journal:
        journal.begin(RunRecord(run, "g", inputs={"question": run}, parts={"flow": "1"}, sources={"graph": run}))
        await chat(journal, run, run=run, step="flow.0:a")
        journal.note(run, "flow.0:a", "step", step_end("a"))
        journal.settle(run, "flow.1:ask", "yes")
        journal.end(run, "finished", b'{"answer": "x"}')


def read_all(history: History, run: str) -> None:
    history.run(run)
    history.notes(run)
    history.settled(run)
    for call in history.calls(run):
        history.exchange(call)


async def test_a_damaged_run_is_listed_with_its_damage_and_not_gone_on_with(path: Path) -> None:
    await record_chat(path, "whole")
    await record_chat(path, "broken")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET inputs = '{' WHERE run = 'broken'")
    with History(path) as history:
        broken, whole = history.runs()
    assert (whole.damage, whole.record.inputs) == ("", {"question": "whole"})
    assert "what was given to the inputs of run broken is damaged. Other runs are not affected." in broken.damage
    assert (broken.status, broken.error, broken.outputs) == ("finished", broken.damage, None)
    with closing(SqliteJournal(path)) as journal:
        with pytest.raises(StoreError, match="the inputs of run broken is damaged"):
            journal.begin(RunRecord("broken", "g"))
        journal.begin(RunRecord("whole", "g"))


@pytest.mark.parametrize("value", ["{", b"\xff"])
async def test_a_damaged_decision_stops_the_run_that_needs_it(path: Path, value: str | bytes) -> None:
    await record_chat(path, "r")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE settled SET value = ?", (value,))
    with closing(SqliteJournal(path)) as journal:
        journal.begin(RunRecord("r", "g"))
        with pytest.raises(StoreError, match=r"what was decided at flow\.1:ask of run r is damaged"):
            journal.settled("r", "flow.1:ask")
    with closing(ReplayJournal(path, "r")) as replay:
        assert (await replay_answer(replay)).text == "Because."
        with pytest.raises(StoreError, match=r"what was decided at flow\.1:ask of run r is damaged"):
            replay.settled("r", "flow.1:ask")


async def replay_answer(replay: ReplayJournal) -> Completion:
    call = OutwardCall("r", "flow.0:a", 0, "chat", "scripted", {"messages": [{"role": "user", "content": "r"}]})

    async def work() -> Completion:
        raise AssertionError("a replay makes no call")

    return (await replay.call(call, work, COMPLETION)).value
