"""The state after every step of a recorded run; edits of it in a fork; what a fork shares with graphs inside its graph."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import BranchError, ChangedError, InputError, NodeError, PausedError, SpecError, StoreError
from agentrag.core.settings import Settings
from agentrag.graph.recorded.edits import EDITS
from agentrag.runs import Changes, Runs
from tests.runs_place import ASKS, STEPS, Place, failed, place_in, total

OUTER = """\
agentrag: 1
name: outer
inputs: {question: str, xs: {type: "list[str]", default: [a, b]}}
outputs: [answer, marks]
models: {writer: default}
channels: {x: {type: str}, marks: {type: "list[str]"}, notes: {type: object}}
nodes:
  draft: {use: generate, prompt: t/draft}
flow:
  - parallel:
      branches:
        one: [draft]
        two: [ask_human: {question: "Notes?", schema: {type: object}, out: notes}]
  - each: {in: xs, as: x, do: [graph: {use: inner.yaml, in: {question: x}, out: {answer: x}}], collect: {x: marks}, at_most: 2}
"""
BRANCHES = """\
agentrag: 1
name: outer
inputs: {question: str}
outputs: [answer]
models: {writer: default}
channels: {word: {type: str}, said: {type: str}}
nodes:
  draft: {use: generate, prompt: t/draft}
flow:
  - parallel:
      branches:
        one: [{graph: {use: inner.yaml, in: {question: question}, out: {answer: word}}}, draft]
        two: [{graph: {use: inner.yaml, in: {question: question}, out: {answer: said}}}]
"""
INNER = """\
agentrag: 1
name: inner
inputs: {question: str}
outputs: [answer]
models: {writer: default}
nodes:
  revise: {use: generate, prompt: t/revise}
  finish: {use: generate, prompt: t/finish}
flow: [revise, finish]
"""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def outer(place: Place) -> str:
    """Id of a run of a graph that runs another graph for each item, after a pause that was answered."""
    place.write("inner", INNER)
    with pytest.raises(PausedError) as caught:
        await place.run("outer", OUTER)
    await place.runs.resume(caught.value.run, answers={"flow.0.parallel.two.0.ask_human": {"a": [1]}})
    place.asked()
    return caught.value.run


async def test_a_history_has_what_each_step_wrote_and_the_state_after_it_without_any_server(place: Place) -> None:
    result = await place.run("graph", STEPS)
    await place.server.__aexit__(None, None, None)
    (place.folder / "graph.yaml").unlink()
    course = await Runs(Settings(home=place.folder / "home")).history("last")
    steps = [moment.step for moment in course.moments]
    assert steps == [
        "flow.0:draft",
        "flow.1.repeat#1.0:revise",
        "flow.1.repeat#2.0:revise",
        "flow.1.repeat",
        "flow.2:finish",
    ]
    assert course.start == {"question": "Why?", "style": "full"}
    answers = [moment.wrote["answer"] for moment in course.moments if moment.node]
    assert [answer.split()[0] for answer in answers] == ["draft", "revise", "revise", "finish"]
    assert course.moments[3].state == {"question": "Why?", "style": "full", "answer": answers[2]}
    assert (course.moments[-1].state["answer"], course.ended) == (result["answer"], "")


async def test_a_history_follows_branches_items_and_other_graphs(place: Place) -> None:
    run = await outer(place)
    course = await place.runs.history(run)
    found = {moment.step: moment for moment in course.moments}
    assert found["flow.0.parallel.two.0.ask_human"].wrote == {"notes": {"a": [1]}}
    assert set(found["flow.0.parallel"].wrote) == {"answer", "notes"}
    inside = found["flow.1.each[1].0.graph.1:finish"]
    assert (inside.node, inside.state["question"], "xs" in inside.state) == ("inner/finish", "b", False)
    assert found["flow.1.each"].wrote["marks"] == [
        found[f"flow.1.each[{n}].0.graph.1:finish"].wrote["answer"] for n in range(2)
    ]
    assert [step for step in found if step.startswith("flow.1.each[0]")] == [
        "flow.1.each[0].0.graph.0:revise",
        "flow.1.each[0].0.graph.1:finish",
        "flow.1.each[0].0.graph",
    ]


@pytest.mark.parametrize(
    ("word", "steps", "ended"),
    [
        ("revise", ["flow.0:draft"], "Step flow.1.repeat#1.0:revise: the record has no answer for this chat call"),
        ("finish", [..., "flow.1.repeat"], "Step flow.2:finish: the record has no answer"),
    ],
)
async def test_the_history_of_a_failed_run_ends_where_its_record_ends(
    place: Place, word: str, steps: list[Any], ended: str
) -> None:
    await failed(place, word)
    course = await place.runs.history("last")
    assert [moment.step for moment in course.moments][-1] == steps[-1]
    assert course.ended.startswith(ended)
    assert place.asked() == []


async def test_the_history_of_a_waiting_run_has_what_its_other_branches_did(place: Place) -> None:
    place.write("inner", INNER)
    with pytest.raises(PausedError):
        await place.run("outer", OUTER)
    course = await place.runs.history("last")
    assert [moment.step for moment in course.moments] == ["flow.0.parallel.one.0:draft"]
    assert "waits for a person. flow.0.parallel.two.0.ask_human: Notes?" in course.ended


async def test_the_history_of_a_failed_branch_has_what_the_other_branches_did_before(place: Place) -> None:
    place.write("inner", INNER)
    place.failing = {"draft"}
    with pytest.raises(BranchError):
        await place.run("outer", BRANCHES)
    course = await place.runs.history("last")
    done = {moment.step for moment in course.moments}
    assert {"flow.0.parallel.one.0.graph", "flow.0.parallel.two.0.graph"} <= done
    assert "flow.0.parallel.one.1:draft" in course.ended


@pytest.mark.parametrize(
    ("at", "asked", "place_kept"),
    [
        ("finish", ["finish"], "flow.2"),
        ("flow.2:finish", ["finish"], "flow.2"),
        ("flow.1.repeat#2", ["revise", "finish"], "flow.1.repeat#2.0"),
        ("revise", ["revise", "revise", "finish"], "flow.1.repeat#1.0"),
        ("flow.1.repeat", ["revise", "revise", "finish"], "flow.1"),
    ],
)
async def test_an_edit_pays_for_what_differs_after_it(place: Place, at: str, asked: list[str], place_kept: str) -> None:
    await place.run("graph", STEPS)
    place.asked()
    result = await place.runs.fork("last", Changes(edits={"answer": "another"}, at=at))
    words = [body["messages"][-1]["content"] for body in place.server.bodies]
    assert (place.asked(), total(result)) == (asked, (len(asked), 4 - len(asked)))
    assert words[0].endswith("Why? another\n") or words[0].rstrip().endswith("Why? another")
    record = place.runs.find(result.run).record
    assert (record.options[EDITS], record.cut) == ({place_kept: {"answer": "another"}}, None)


async def test_an_edit_that_changes_nothing_costs_nothing(place: Place) -> None:
    parent = await place.run("graph", STEPS)
    before = (await place.runs.history(parent.run)).moments[3].state["answer"]
    place.asked()
    result = await place.runs.fork(parent.run, Changes(edits={"answer": before}, at="finish"))
    assert (result.outputs, place.asked()) == (parent.outputs, [])


async def test_a_fork_with_edits_is_resumed_replayed_forked_and_looked_back_on_with_them(place: Place) -> None:
    await place.run("graph", STEPS)
    place.failing = {"finish"}
    with pytest.raises(NodeError):
        await place.runs.fork("last", Changes(edits={"answer": "another"}, at="flow.1.repeat#2"))
    place.failing = set()
    place.asked()
    result = await place.runs.resume("last")
    assert place.asked() == ["finish"]
    assert (await place.runs.replay(result.run)).differs == {}
    course = await place.runs.history(result.run)
    assert course.moments[-1].state["answer"] == result["answer"]
    again = await place.runs.fork(result.run, Changes(edits={"answer": "a third"}, at="finish"))
    assert place.asked() == ["finish"]
    assert place.runs.find(again.run).record.options[EDITS] == {
        "flow.1.repeat#2.0": {"answer": "another"},
        "flow.2": {"answer": "a third"},
    }


async def test_channels_inside_another_graph_are_edited_there(place: Place) -> None:
    run = await outer(place)
    at = "flow.1.each[1].0.graph.1:finish"
    await place.runs.fork(run, Changes(edits={"answer": "mine"}, at=at))
    assert [body["messages"][-1]["content"].split()[:3] for body in place.server.bodies] == [["finish:", "b", "mine"]]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            Changes(edits={"answr": "x"}, at="finish"),
            SpecError,
            "--edit answr: Unknown channel 'answr'. Did you mean 'answer'?",
        ),
        (Changes(edits={"answer": 7}, at="finish"), SpecError, "--edit answer: 7 is no value of the channel: Input should be"),
        (Changes(edits={"answer": "x" * 9000}, at="finish"), SpecError, "the value is beyond the bounds of the channel"),
        (Changes(edits={"answer": "x"}), InputError, "Say before which step"),
        (Changes(edits={"answer": "x"}, at="flow.7"), StoreError, "Unknown step 'flow.7'"),
        (Changes(edits={"answer": "x"}, at="flow.1.repeat#3"), StoreError, "Unknown step 'flow.1.repeat#3'"),
    ],
    ids=["channel", "type", "bound", "no step", "step", "round that was not"],
)
async def test_a_wrong_edit_is_told_and_costs_nothing(place: Place, changes: Changes, error: Any, said: str) -> None:
    await place.run("graph", STEPS)
    place.asked()
    with pytest.raises(error) as caught:
        await place.runs.fork("last", changes)
    assert said in str(caught.value)
    assert (place.asked(), len(place.runs.list())) == ([], 1)


async def test_an_edit_before_a_question_asks_it_anew(place: Place) -> None:
    with pytest.raises(PausedError) as caught:
        await place.run("asks", ASKS)
    place.runs.answer("last", None, "approve")
    with pytest.raises(PausedError) as again:
        await place.runs.fork(caught.value.run, Changes(edits={"answer": "better"}, at="flow.1.ask_human"))
    assert [question.text for question in again.value.questions.values()] == ["Send this? better"]


async def test_a_setting_of_a_node_in_another_graph_is_varied(place: Place) -> None:
    run = await outer(place)
    result = await place.runs.fork(run, Changes(settings={"inner/finish.max_tokens": 9}))
    assert [body["max_tokens"] for body in place.server.bodies] == [9, 9]
    assert place.asked() == ["finish", "finish"]
    assert (await place.runs.resume(result.run)).outputs == result.outputs
    for name, said in (
        ("iner/finish.k", "Unknown graph 'iner'. Did you mean 'inner'?"),
        ("inner/finsh.k", "Unknown node 'finsh'"),
    ):
        with pytest.raises(SpecError, match=said):
            await place.runs.fork(run, Changes(settings={name: 9}))


async def test_a_change_in_another_graph_is_located_in_its_own_file(place: Place) -> None:
    place.write("inner", INNER)
    with pytest.raises(PausedError) as caught:
        await place.run("outer", OUTER)
    path = place.write("inner", INNER.replace("t/finish}", "t/finish, max_tokens: 9}"))
    with pytest.raises(ChangedError) as changed:
        await place.runs.resume(caught.value.run)
    assert str(changed.value).splitlines()[0] == f"{path}:8:3 nodes.finish: 'nodes.finish' has changed since the run began"


async def test_a_fork_takes_the_record_where_only_the_file_of_another_graph_is_gone(place: Place) -> None:
    run = await outer(place)
    (place.folder / "inner.yaml").unlink()
    result = await place.runs.fork(run, Changes(settings={"draft.max_tokens": 9}))
    assert (place.asked(), total(result)) == (["draft"], (1, 4))
