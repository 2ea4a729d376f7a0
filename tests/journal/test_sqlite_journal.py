"""The durable journal: reuse of equal calls, notes, its file."""

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, StoreError
from agentrag.core.events import CallFinished, Event
from agentrag.core.ports import RunRecord
from agentrag.core.types import ChatRequest, Message, SearchRequest
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing import ScriptedModel, fake_deps, passages
from tests.journal.conftest import Service, called, step_end

REQUEST = ChatRequest((Message("user", "Why?"),), max_tokens=8)


def deps_on(path: Path, model: ScriptedModel, *, reuse: bool, run: str, events: list[Event] | None = None) -> Deps:
    deps = fake_deps(model, passages("a b", "c"), events=events)
    return replace(deps, journal=SqliteJournal(path, reuse=reuse), run=run).at("flow.0:write", "write", {})


CALLS = "SELECT runs.run, step, ordinal, kind, reused FROM calls JOIN runs ON id = calls.run ORDER BY runs.run, ordinal"


def rows(path: Path, query: str = CALLS) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute(query).fetchall()


async def test_a_cassette_answers_an_equal_call_without_making_it(path: Path) -> None:
    first = await deps_on(path, ScriptedModel(["Because."]), reuse=True, run="1").chat("writer", REQUEST)
    silent, events = ScriptedModel([]), list[Event]()
    again = await deps_on(path, silent, reuse=True, run="2", events=events).chat("writer", REQUEST)
    assert again == first
    assert silent.requests == []
    (told,) = [event for event in events if isinstance(event, CallFinished)]
    assert (told.usage.calls, told.usage.reused, told.saved.calls, told.saved.completion_tokens) == (0, 1, 1, 1)
    assert rows(path) == [("1", "flow.0:write", 0, "chat", 0), ("2", "flow.0:write", 0, "chat", 1)]


@pytest.mark.parametrize(
    "change",
    [{"max_tokens": 9}, {"messages": (Message("user", "How?"),)}, {"temperature": 0.7}],
    ids=["bound", "messages", "sampled"],
)
async def test_a_call_that_differs_is_made(path: Path, change: dict[str, object]) -> None:
    await deps_on(path, ScriptedModel(["one"]), reuse=True, run="1").chat("writer", REQUEST)
    other = ScriptedModel(["two"])
    completion = await deps_on(path, other, reuse=True, run="2").chat("writer", replace(REQUEST, **change))  # type: ignore[arg-type]  # a table of cases
    assert completion.text == "two"


async def test_a_sampled_call_is_recorded_but_never_reused(path: Path) -> None:
    sampled = replace(REQUEST, temperature=1.0)
    deps = deps_on(path, ScriptedModel(["one", "two"]), reuse=True, run="1")
    assert [(await deps.chat("writer", sampled)).text for _ in range(2)] == ["one", "two"]
    assert rows(path, "SELECT nth, ordinal FROM calls ORDER BY nth") == [(0, 0), (1, 1)]


async def test_without_reuse_other_runs_make_their_calls(path: Path) -> None:
    model = ScriptedModel(["one", "two"])
    for run in "12":
        await deps_on(path, model, reuse=False, run=run).chat("writer", REQUEST)
    assert len(model.requests) == 2


async def test_searches_and_vectors_come_back_equal(path: Path) -> None:
    first, second = (deps_on(path, ScriptedModel([]), reuse=True, run=run) for run in "12")
    assert await first.search("docs", SearchRequest("a")) == await second.search("docs", SearchRequest("a"))
    assert (await first.embed(["a"]) == await second.embed(["a"])).all()
    assert rows(path, "SELECT reused FROM calls ORDER BY reused") == [(0,), (0,), (1,), (1,)]


async def test_a_failed_call_leaves_no_row(path: Path) -> None:
    deps = deps_on(path, ScriptedModel([ModelError("down")]), reuse=True, run="1")
    with pytest.raises(ModelError, match="down"):
        await deps.chat("writer", REQUEST)
    assert rows(path) == []


async def test_equal_deterministic_calls_of_a_run_are_made_once_and_stored_once(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("r", "g"))
    answers = [await service.answer(called(step=f"flow.{i}:a"), journal) for i in range(3)]
    assert answers == ["1 Why?"] * 3
    assert rows(path, "SELECT seq, reused FROM calls ORDER BY seq") == [(1, 0), (2, 1), (3, 1)]
    assert rows(path, "SELECT count(*) FROM answers") == [(1,)]
    journal.close()


async def test_equal_deterministic_calls_in_flight_are_made_once(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(seconds=0.02)
    journal.begin(RunRecord("r", "g"))
    given = await asyncio.gather(*(service.recorded(called(nth=nth), journal) for nth in range(5)))
    assert [answer.value for answer in given] == ["1 Why?"] * 5
    assert [answer.reused for answer in given] == [False, True, True, True, True]
    assert len(rows(path)) == 5
    journal.close()


async def test_who_waits_for_an_equal_call_fails_with_it(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(failing=1, seconds=0.02)
    calls = [service.answer(called(nth=nth), journal) for nth in range(3)]
    given = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in given] == [ConnectionError] * 3
    assert service.asked == ["Why?"]
    assert await service.answer(called(), journal) == "2 Why?"
    journal.close()


async def test_who_waits_for_a_cancelled_call_makes_it(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(seconds=0.02)
    first, second = (asyncio.create_task(service.answer(called(nth=nth), journal)) for nth in range(2))
    await asyncio.sleep(0.001)
    first.cancel()
    assert await second == "2 Why?"
    assert first.cancelled()
    journal.close()


async def test_cancelling_who_waits_does_not_touch_the_call(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(seconds=0.02)
    first, second = (asyncio.create_task(service.answer(called(nth=nth), journal)) for nth in range(2))
    await asyncio.sleep(0.001)
    second.cancel()
    assert await first == "1 Why?"
    assert second.cancelled()
    journal.close()


async def test_sampled_calls_in_flight_are_all_made(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(seconds=0.01)
    calls = [called(nth=nth, sampled=True) for nth in range(10)]
    assert len(set(await asyncio.gather(*(service.answer(call, journal) for call in calls)))) == 10
    journal.close()


async def test_answers_stay_inside_one_tenant(path: Path) -> None:
    journal, service = SqliteJournal(path, reuse=True), Service()
    for run, tenant in [("1", "a"), ("2", "a"), ("3", "b")]:
        await service.answer(called(run=run, tenant=tenant), journal)
    assert len(service.asked) == 2
    journal.close()


async def test_a_run_that_was_never_begun_is_begun_by_its_first_call(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await service.answer(called(run="loose", tenant="t"), journal)
    with History(path) as history:
        assert history.run("loose").status == "running"
        journal.close()
        run = history.run("loose")
    assert (run.status, run.record.graph, run.record.tenant, run.usage.calls) == ("finished", "", "t", 1)


async def test_what_comes_after_the_end_of_a_run_does_not_change_how_it_ended(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    journal.end("r", "failed", error="no line")
    await Service().answer(called(), journal)
    journal.settle("r", "flow.1:ask", "yes")
    journal.note("r", "flow.0:write", "step", step_end("write"))
    journal.close()
    with History(path) as history:
        run = history.run("r")
        assert (run.status, run.error, run.usage.calls) == ("failed", "no line", 1)
        assert len(history.notes("r")) == 1


async def test_notes_are_written_with_the_next_call(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    journal.note("r", "flow.0.choose", "choice", {"branch": "otherwise"})
    with History(path) as history:
        assert history.notes("r") == []
        await Service().answer(called(), journal)
        (note,) = history.notes("r")
    assert (note.step, note.kind, note.body) == ("flow.0.choose", "choice", {"branch": "otherwise"})
    journal.close()


@pytest.mark.parametrize("how", ["end", "settle", "close", "begin", "many"])
def test_notes_are_durable_after(path: Path, how: str) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    count = 200 if how == "many" else 1
    for number in range(count):
        journal.note("r", f"flow.{number}:a", "step", step_end("a"))
    after: dict[str, Callable[[], object]] = {
        "end": lambda: journal.end("r", "finished"),
        "settle": lambda: journal.settle("r", "s", 1),
        "close": journal.close,
        "begin": lambda: journal.begin(RunRecord("r", "g")),
        "many": lambda: None,
    }
    after[how]()
    with History(path) as history:
        assert [note.step for note in history.notes("r")] == [f"flow.{number}:a" for number in range(count)]
    journal.close()


async def test_a_journal_grows_by_little_more_than_what_it_is_given(path: Path) -> None:
    SqliteJournal(path).close()
    before, journal, given = path.stat().st_size, SqliteJournal(path), 0
    journal.begin(RunRecord("r", "g", sources={"graph": "flow: [write]\n" * 100}))
    for number in range(15):
        call = called(f"{number} " + "word " * 800, step=f"flow.{number % 5}.repeat#{number // 5}.0:write")
        given += len(call.request_json) + len(await Service().answer(call, journal))
        journal.note("r", call.step, "step", step_end("write"))
    journal.end("r", "finished", b"{}")
    journal.close()
    assert path.stat().st_size - before < 1.5 * given


def test_the_file_and_those_beside_it_are_readable_by_their_owner_only(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    modes = {file.suffix: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys((".sqlite", ".sqlite-shm", ".sqlite-wal", ".lock"), 0o600)
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal.sqlite"]


def test_closing_twice_is_allowed(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.close()
    journal.close()


async def test_a_closed_journal_says_so_in_one_line(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.close()
    with pytest.raises(StoreError, match=r"Journal .* cannot be written: Cannot operate on a closed database"):
        await Service().answer(called(), journal)
