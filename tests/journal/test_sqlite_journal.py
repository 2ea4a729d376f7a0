"""The durable journal."""

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, StoreError
from agentrag.core.events import CallFinished, Event
from agentrag.core.types import ChatRequest, Message, SearchRequest
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing import ScriptedModel, fake_deps, passages

REQUEST = ChatRequest((Message("user", "Why?"),), max_tokens=8)


def deps_on(path: Path, model: ScriptedModel, *, reuse: bool, run: str, events: list[Event] | None = None) -> Deps:
    deps = fake_deps(model, passages("a b", "c"), events=events)
    return replace(deps, journal=SqliteJournal(path, reuse=reuse), run=run).at("flow.0:write", "write")


def rows(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute("SELECT run, step, ordinal, kind, reused FROM calls ORDER BY run, ordinal").fetchall()


async def test_a_cassette_answers_an_equal_call_without_making_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
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
async def test_a_call_that_differs_is_made(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "journal.sqlite"
    await deps_on(path, ScriptedModel(["one"]), reuse=True, run="1").chat("writer", REQUEST)
    other = ScriptedModel(["two"])
    completion = await deps_on(path, other, reuse=True, run="2").chat("writer", replace(REQUEST, **change))  # type: ignore[arg-type]  # a table of cases
    assert completion.text == "two"


async def test_a_sampled_call_is_recorded_but_never_reused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    sampled = replace(REQUEST, temperature=1.0)
    deps = deps_on(path, ScriptedModel(["one", "two"]), reuse=True, run="1")
    assert [(await deps.chat("writer", sampled)).text for _ in range(2)] == ["one", "two"]
    assert len(rows(path)) == 2


async def test_without_reuse_every_call_is_made(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    model = ScriptedModel(["one", "two"])
    for run in "12":
        await deps_on(path, model, reuse=False, run=run).chat("writer", REQUEST)
    assert len(model.requests) == 2


async def test_searches_and_vectors_come_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first, second = (deps_on(path, ScriptedModel([]), reuse=True, run=run) for run in "12")
    assert await first.search("docs", SearchRequest("a")) == await second.search("docs", SearchRequest("a"))
    assert (await first.embed(["a"]) == await second.embed(["a"])).all()
    assert [row[-1] for row in rows(path)] == [0, 0, 1, 1]


async def test_a_failed_call_leaves_no_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    deps = deps_on(path, ScriptedModel([ModelError("down")]), reuse=True, run="1")
    with pytest.raises(ModelError, match="down"):
        await deps.chat("writer", REQUEST)
    assert rows(path) == []


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.sqlite").close()
    assert stat.S_IMODE((tmp_path / "journal.sqlite").stat().st_mode) == 0o600


def test_a_file_that_is_no_journal_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_text("something else, long enough to be read as a page " * 50, encoding="utf-8")
    with pytest.raises(StoreError, match=r"Journal .*journal\.sqlite cannot be used: file is not a database"):
        SqliteJournal(path)
