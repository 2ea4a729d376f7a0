"""What is told of recorded runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentrag.core.errors import StoreError, UnknownNameError
from agentrag.core.ports import RunRecord
from agentrag.core.types import Usage
from agentrag.journal.history import History
from agentrag.journal.past import Mean
from agentrag.journal.sqlite import SqliteJournal
from agentrag.journal.steps import by_node
from tests.journal.conftest import COMPLETION_TOKENS, PROMPT_TOKENS, USD, Service, called, chat, record_run, step_end

RECORD = RunRecord(
    "20261123-034501-9f3a2c41",
    "gated-loop",
    "graphs/gated-loop.yaml",
    "t",
    {"question": "Wozu?", "k": 5},
    {"flow": "ab", "nodes.write": "cd"},
    {"graph": "agentrag: 1\n", "prompts.answer/grounded": "## user\n"},
    {"models": {"writer": "local"}},
)


async def record_loop(path: Path) -> None:
    """A run of RECORD: a search, then a node whose first attempt failed, whose second one asked the same thing twice."""
    run, tenant, journal = RECORD.run, RECORD.tenant, SqliteJournal(path)
    journal.begin(RECORD)
    await Service().answer(called("find", run=run, step="flow.0:search", tenant=tenant), journal)
    journal.note(run, "flow.0:search", "step", step_end("search"))
    failed = {"outcome": "failed", "reason": "no line", "seconds": 0.25}
    journal.note(run, "flow.1.repeat#1.0:write", "step", step_end("write", **failed))
    await chat(journal, "Why?", run=run, step="flow.1.repeat#1.0:write~2", tenant=tenant)
    await chat(journal, "Why?", run=run, step="flow.1.repeat#1.0:write~2", nth=1, tenant=tenant)
    journal.note(run, "flow.1.repeat#1.0:write~2", "step", step_end("write", attempt=2))
    journal.note(run, "flow.1.repeat", "loop", {"rounds": 1, "why": "until", "kept": 1})
    await Service().answer(called("late", run=run, step="flow.2:cite", tenant=tenant), journal)
    journal.settle(run, "flow.3:ask", "yes")
    journal.end(run, "failed", b'{"answer": "x"}', "no line")
    journal.close()


async def test_a_run_is_told_whole(path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await record_loop(path)
    with History(path) as history:
        run = history.run(RECORD.run)
        assert history.settled(RECORD.run) == {"flow.3:ask": "yes"}
    assert run.record == RECORD
    assert (run.status, run.outputs, run.error) == ("failed", b'{"answer": "x"}', "no line")
    assert run.ended is not None
    assert before < run.started < run.ended
    assert 0 < run.seconds < 10
    assert (run.usage.calls, run.usage.reused, run.usage.prompt_tokens, run.usage.usd) == (3, 1, PROMPT_TOKENS, USD)
    assert (run.saved.calls, run.saved.completion_tokens, run.saved.usd) == (1, COMPLETION_TOKENS, USD)


async def test_the_steps_of_a_run_hold_their_calls(path: Path) -> None:
    await record_loop(path)
    with History(path) as history:
        steps = history.steps(RECORD.run)
        assert [note.kind for note in history.notes(RECORD.run)] == ["step", "step", "step", "loop"]
    assert [(step.step, step.node, step.attempt, step.outcome, step.reason, step.seconds) for step in steps] == [
        ("flow.0:search", "search", 1, "done", "", 0.5),
        ("flow.1.repeat#1.0:write", "write", 1, "failed", "no line", 0.25),
        ("flow.1.repeat#1.0:write~2", "write", 2, "done", "", 0.5),
        ("flow.2:cite", "cite", 1, "", "", 0.0),
    ]
    assert [[(call.kind, call.model, call.reused) for call in step.calls] for step in steps] == [
        [("tool", "", False)],
        [],
        [("chat", "scripted-1", False), ("chat", "scripted-1", True)],
        [("tool", "", False)],
    ]
    nodes = by_node(steps)
    assert [(name, paid.calls, paid.reused, saved.calls) for name, (paid, saved) in nodes.items()] == [
        ("search", 1, 0, 0),
        ("write", 1, 1, 1),
        ("cite", 1, 0, 0),
    ]
    assert sum((step.usage for step in steps), Usage()).prompt_tokens == PROMPT_TOKENS


async def test_an_attempt_that_only_its_note_numbers_is_told_apart(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    for attempt, outcome in [(1, "failed"), (2, "done")]:
        journal.note("r", "flow.0:a", "step", step_end("a", attempt=attempt, outcome=outcome))
    journal.close()
    with History(path) as history:
        assert [(step.step, step.attempt, step.outcome) for step in history.steps("r")] == [
            ("flow.0:a", 1, "failed"),
            ("flow.0:a~2", 2, "done"),
        ]


async def test_a_step_that_a_resume_went_through_again_is_told_once(path: Path) -> None:
    journal = SqliteJournal(path)
    for seconds, outcome in [(2.0, "failed"), (0.5, "done")]:
        journal.begin(RunRecord("r", "g"))
        await Service().answer(called(), journal)
        journal.note("r", "flow.0:write", "step", step_end("write", seconds=seconds, outcome=outcome))
        journal.end("r", "finished")
    with History(path) as history:
        (step,) = history.steps("r")
    assert (step.outcome, step.seconds, step.usage.calls, step.usage.reused) == ("done", 2.5, 1, 0)
    journal.close()


async def test_clock_and_random_cost_no_call(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    for kind in ("clock", "random"):
        call = called()
        object.__setattr__(call, "kind", kind)
        await Service().answer(call, journal)
    with History(path) as history:
        assert [call.usage.calls for call in history.calls("r")] == [0, 0]
    journal.close()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["c", "b", "a"]),
        ({"limit": 2}, ["c", "b"]),
        ({"graph": "g"}, ["b", "a"]),
        ({"status": "running"}, ["c"]),
        ({"graph": "g", "status": "running"}, []),
        ({"limit": None}, ["c", "b", "a"]),
    ],
)
async def test_runs_are_listed_newest_first(path: Path, filters: dict[str, object], found: list[str]) -> None:
    for run in "ab":
        await record_run(path, run, ["x"])
    journal = SqliteJournal(path)
    journal.begin(RunRecord("c", "other"))
    with History(path) as history:
        assert [run.record.run for run in history.runs(**filters)] == found  # type: ignore[arg-type]  # a table of cases
    journal.close()


async def test_a_run_is_found_by_the_beginning_of_its_id(path: Path) -> None:
    for run in ("20261123-1-ab", "20261123-1-abc", "20261124-1-cd"):
        await record_run(path, run, [])
    with History(path) as history:
        assert history.full_id("20261124") == "20261124-1-cd"
        assert history.full_id("20261123-1-ab") == "20261123-1-ab"
        with pytest.raises(UnknownNameError, match=r"Unknown run '20261123'\..*Known: 20261123-1-ab, 20261123-1-abc\."):
            history.full_id("20261123")
        with pytest.raises(UnknownNameError, match=r"Unknown run '20261124-1-ce'\. Did you mean '20261124-1-cd'\?"):
            history.run("20261124-1-ce")
        with pytest.raises(StoreError, match="Unknown run 'x'"):
            history.calls("x")


async def test_what_a_graph_costs_is_the_mean_of_its_finished_runs(path: Path) -> None:
    journal = SqliteJournal(path)
    for run, rounds in [("1", 1), ("2", 3)]:
        journal.begin(RunRecord(run, "g"))
        await Service().answer(called("find", run=run, step="flow.0:search"), journal)
        for number in range(rounds):
            await chat(journal, f"{run} {number}", run=run, step=f"flow.1.repeat#{number + 1}.0:write")
        journal.end(run, "finished")
    journal.begin(RunRecord("3", "g"))
    await chat(journal, "unfinished", run="3", step="flow.1:write")
    journal.close()
    with History(path) as history:
        expected = history.expected("g")
        assert history.expected("other") is None
    assert expected is not None
    write, search = expected.nodes["write"], expected.nodes["search"]
    assert (expected.runs, list(expected.nodes)) == (2, ["search", "write"])
    assert (write.calls, write.prompt_tokens, write.completion_tokens, write.usd) == (2, 20, 10, 0.5)
    assert (search.calls, search.prompt_tokens) == (1, 0)
    assert expected.total.calls == 3
    assert expected.total.seconds == pytest.approx(write.seconds + search.seconds)
    assert expected.wall > 0


async def test_what_another_run_had_paid_for_is_expected_to_be_paid_again(path: Path) -> None:
    journal = SqliteJournal(path, reuse=True)
    for run in "123":
        journal.begin(RunRecord(run, "g"))
        for step in ("flow.0:a", "flow.1:a"):
            await chat(journal, "same", run=run, step=step)
        journal.end(run, "finished")
    journal.close()
    with History(path) as history:
        expected = history.expected("g")
    assert expected is not None
    assert expected.nodes["a"] == Mean(1, PROMPT_TOKENS, COMPLETION_TOKENS, USD, expected.nodes["a"].seconds)


async def test_a_forks_cost_is_not_expected(path: Path) -> None:
    await record_run(path, "1", ["x"])
    journal = SqliteJournal(path)
    journal.begin(RunRecord("2", "g", parent="1"))
    journal.end("2", "finished")
    journal.close()
    with History(path) as history:
        expected = history.expected("g")
    assert expected is not None
    assert expected.runs == 1
