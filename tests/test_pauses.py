"""Questions to people: asked, on record, answered once by whoever is first, and taken over by forks. See also tests/cli."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentrag.app import Result
from agentrag.core.errors import ChangedError, InputError, PausedError, Question, RunBusyError, StoreError
from agentrag.journal.sqlite import SqliteJournal
from agentrag.runs import Runs
from tests.runs_place import ASKS, Place, place_in

HEAD = "agentrag: 1\nname: pauses\ninputs: {question: str}\nnodes: {}\n"
FORM = "{type: object, properties: {beds: {type: integer, minimum: 1}}, required: [beds]}"
BOTH = f"""\
{HEAD}outputs: [form, word]
flow:
  - parallel:
      branches:
        left: [ask_human: {{question: "Which room, {{question}}", schema: {FORM}, out: form}}]
        right: [ask_human: {{question: "Which word?", choices: [lamp, boat], out: word}}]
"""
LEFT, RIGHT = "flow.0.parallel.left.0.ask_human", "flow.0.parallel.right.0.ask_human"
RACE = f"""\
{HEAD}outputs: [last]
flow:
  - parallel:
      branches:
        asking: [ask_human: {{question: "Which word?", out: word}}]
        quick: [choose: [{{when: "question == ''", do: []}}, {{otherwise: []}}]]
      wait: first
  - ask_human: {{question: "Last?", out: last}}
"""
INNER = f"{HEAD}outputs: [word]\nflow:\n  - ask_human: {{question: 'And {{question}}', out: word}}\n"
EVERYWHERE = """\
agentrag: 1
name: everywhere
inputs: {question: str, xs: {type: "list[str]", default: [a, b]}}
outputs: [marks, word]
channels: {x: {type: str}, mark: {type: str}, marks: {type: "list[str]"}, word: {type: str}}
nodes: {}
flow:
  - each: {in: xs, as: x, do: [ask_human: {question: "Mark of {x}?", out: mark}], collect: {mark: marks}, at_most: 3}
  - repeat:
      do: [ask_human: {question: "Enough?", schema: {type: boolean}, out: enough}]
      until: "enough"
      at_most: 3
  - graph: {use: inner.yaml, in: {question: question}, out: {word: word}}
"""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def paused(place: Place, text: str) -> str:
    """Id of a run that waits."""
    with pytest.raises(PausedError) as caught:
        await place.run("graph", text)
    return caught.value.run


async def test_questions_of_branches_are_on_record_and_answered_one_by_one(place: Place) -> None:
    run = await paused(place, BOTH)
    runs = place.runs
    assert [*runs.questions(run)] == [*runs.show("last").questions] == [LEFT, RIGHT]
    asked = runs.questions("last")[LEFT]
    assert (asked.text, asked.choices, asked.bytes) == ("Which room, Why?", (), 8192)
    assert asked.schema == {"type": "object", "properties": {"beds": {"type": "integer", "minimum": 1}}, "required": ["beds"]}
    assert runs.answer(run, RIGHT, "boat") == {LEFT: asked}
    with pytest.raises(PausedError) as caught:
        await runs.resume(run)
    assert caught.value.questions == {LEFT: asked}
    assert runs.answer(run, None, {"beds": 2}) == {}
    assert runs.find(run).status == "paused"
    assert (await runs.resume(run)).outputs == {"form": {"beds": 2}, "word": "boat"}
    assert (runs.questions(run), runs.find(run).status) == ({}, "finished")


@pytest.mark.parametrize(
    ("pause", "value", "said"),
    [
        (None, "boat", "Several questions are open; name the step of each answer: flow"),
        ("flow.1.ask_human", "boat", "Unknown open question 'flow.1.ask_human'"),
        (RIGHT, "bota", "Unknown answer 'bota'. Did you mean 'boat'?"),
        (LEFT, '{"beds": 1}', "is not of type 'object'"),
        (LEFT, {"beds": 0}, "$.beds: 0 is less than the minimum of 1. Expected is JSON of the schema"),
        (LEFT, {"beds": 1, "more": "x" * 9000}, "it has 9,020 bytes; at most 8,192 are allowed"),
    ],
)
async def test_what_is_no_answer_is_refused_with_what_is_expected(
    place: Place, pause: str | None, value: Any, said: str
) -> None:
    run = await paused(place, BOTH)
    with pytest.raises(InputError) as caught:
        place.runs.answer(run, pause, value)
    assert said in str(caught.value)
    assert len(place.runs.questions(run)) == 2


async def test_of_several_answers_none_is_kept_where_one_is_refused(place: Place) -> None:
    run = await paused(place, BOTH)
    with pytest.raises(InputError, match="Unknown answer"):
        await place.runs.resume(run, answers={LEFT: {"beds": 1}, RIGHT: "none"})
    assert [*place.runs.questions(run)] == [LEFT, RIGHT]
    result = await place.runs.resume(run, answers={LEFT: {"beds": 1}, RIGHT: "lamp"})
    assert result.outputs == {"form": {"beds": 1}, "word": "lamp"}


async def test_weeks_later_an_answer_is_kept_once_and_a_second_one_hears_what_and_when(place: Place) -> None:
    run = await paused(place, ASKS)
    begun = place.runs.find(run).started
    later = Runs(place.settings, clock=(begun + timedelta(days=21)).timestamp)
    later.answer(run, None, "approve")
    with pytest.raises(InputError) as caught:
        place.runs.answer(run, "flow.1.ask_human", "refuse")
    when = f"{begun + timedelta(days=21):%Y-%m-%d %H:%M:%S} UTC"
    told = f"Step flow.1.ask_human of run {run} was answered before at {when}: 'approve'. See: agentrag runs show {run}"
    assert str(caught.value) == told
    assert (await later.resume(run))["decision"] == "approve"
    past = place.runs.find(run)
    assert past.ended is not None
    assert past.ended - begun > timedelta(days=20)
    assert past.seconds < 60  # waiting is not counted


async def test_pauses_in_items_rounds_and_other_graphs_have_ids_of_their_own(place: Place) -> None:
    place.write("inner", INNER)
    run = await paused(place, EVERYWHERE)
    asked: list[str] = []
    answers: dict[str, Any] = {"Mark of a?": "A", "Mark of b?": "B", "And Why?": "so"}
    result: Result | None = None
    while result is None:
        step, question = next(iter(place.runs.questions(run).items()))
        asked.append(step)
        place.runs.answer(run, step, answers.get(question.text, step.startswith("flow.1.repeat#2")))
        try:
            result = await place.runs.resume(run)
        except PausedError:
            continue
    assert result.outputs == {"marks": ["A", "B"], "word": "so"}
    assert asked == [
        "flow.0.each[0].0.ask_human",
        "flow.0.each[1].0.ask_human",
        "flow.1.repeat#1.0.ask_human",
        "flow.1.repeat#2.0.ask_human",
        "flow.2.graph.0.ask_human",
    ]


async def test_a_question_of_a_branch_that_lost_its_race_is_not_open(place: Place) -> None:
    run = await paused(place, RACE)
    assert [*place.runs.questions(run)] == ["flow.1.ask_human"]
    place.runs.answer(run, None, "done")
    assert (await place.runs.resume(run)).outputs == {"last": "done"}


async def test_after_the_graph_changed_the_answer_is_kept_and_a_fork_has_it(place: Place) -> None:
    run = await paused(place, ASKS)
    place.asked()
    path = place.write("graph", ASKS.replace("t/finish}", "t/finish, max_tokens: 9}"))
    place.runs.answer(run, None, "approve")
    with pytest.raises(ChangedError) as caught:
        await place.runs.resume(run)
    assert str(caught.value).splitlines() == [
        f"{path}:9:3 nodes.finish: 'nodes.finish' has changed since the run began",
        f"Run {run} began with another graph. Go on with: agentrag runs fork {run}",
    ]
    result = await place.runs.fork(run)
    assert (result["decision"], place.asked()) == ("approve", ["finish"])


@pytest.mark.parametrize("answer", ["approve", None], ids=["no choice any more", "nothing"])
async def test_a_fork_asks_again_where_the_answer_of_its_parent_does_not_fit(place: Place, answer: str | None) -> None:
    run = await paused(place, ASKS)
    if answer:
        place.runs.answer(run, None, answer)
    place.write("graph", ASKS.replace("[approve, refuse]", "[accept, refuse]"))
    with pytest.raises(PausedError) as caught:
        await place.runs.fork(run)
    (question,) = caught.value.questions.values()
    assert isinstance(question, Question)
    assert question.choices == ("accept", "refuse")


async def test_a_run_that_was_killed_while_it_went_on_still_takes_the_answers_that_it_waits_for(place: Place) -> None:
    run = await paused(place, BOTH)
    with closing(sqlite3.connect(place.runs.path)) as journal, journal:
        journal.execute("UPDATE runs SET status = 'running'")  # what a killed process leaves behind
    place.runs.answer(run, LEFT, {"beds": 1})
    place.runs.answer(run, RIGHT, "lamp")
    assert (await place.runs.resume(run)).outputs == {"form": {"beds": 1}, "word": "lamp"}


async def test_who_answers_while_a_process_works_on_the_run_is_told_to_wait(place: Place) -> None:
    run = await paused(place, BOTH)
    record = place.runs.find(run).record
    with closing(SqliteJournal(place.runs.path)) as working:
        working.begin(record)
        with pytest.raises(RunBusyError, match="is worked on by another journal of this process"):
            Runs(place.settings, patience=0.2).answer(run, RIGHT, "lamp")
        working.end(run, "paused")
        place.runs.answer(run, RIGHT, "lamp")


async def test_a_run_of_an_earlier_version_has_no_question_on_record_and_says_what_to_do(place: Place) -> None:
    run = await paused(place, ASKS)
    with closing(sqlite3.connect(place.runs.path)) as journal, journal:
        journal.execute("DELETE FROM notes WHERE kind = 'asked'")
    with pytest.raises(InputError, match=f"has no open question on record. Resume it, .*: agentrag runs resume {run}"):
        place.runs.answer(run, None, "approve")
    with pytest.raises(PausedError):
        await place.runs.resume(run)
    place.runs.answer(run, None, "approve")
    assert (await place.runs.resume(run))["decision"] == "approve"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE notes SET body = '{}' WHERE kind = 'asked'",
        "UPDATE notes SET body = '[' WHERE kind = 'asked'",
        "UPDATE notes SET body = '{}' WHERE kind = 'branch'",
        "INSERT INTO settled SELECT id, 'flow.0.parallel.left.0.ask_human', '7' FROM runs",
        "INSERT INTO settled SELECT id, 'flow.0.parallel', '{' FROM runs",
    ],
)
async def test_records_that_somebody_changed_by_hand_are_told_in_a_line(place: Place, change: str) -> None:
    run = await paused(place, BOTH)
    with closing(sqlite3.connect(place.runs.path)) as journal, journal:
        journal.execute(change)
    with pytest.raises(StoreError, match=f"cannot be read: .* of run {run} is damaged") as caught:
        place.runs.show(run)
    assert "\n" not in str(caught.value)
    assert [past.record.run for past in place.runs.list()] == [run]
