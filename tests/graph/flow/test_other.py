"""Other graphs, questions to a person, and returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.deps import Origin
from agentrag.core.errors import NodeError, PausedError, Question
from agentrag.core.events import Event, RunFinished, StepStarted
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph
from agentrag.graph.recorded.answers import kept
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import run

INNER = """\
agentrag: 1
name: inner
inputs: {question: str, tone: {type: str, default: plain}}
outputs: [answer]
models: {writer: default, other: local}
nodes:
  ask: {use: t.ask, prompt: own/mine}
  again: {use: t.ask, prompt: own/mine, model: other}
flow: [ask, again]
"""
OUTER = """\
agentrag: 1
name: outer
inputs: {question: str}
outputs: [answer, draft]
models: {writer: gpt}
nodes:
  end: {use: t.ask, prompt: own/mine}
flow:
  - graph: {use: inner.yaml, in: {question: question}, out: {answer: draft}}
  - end
"""
PROMPT = "---\nabout: a\nsource: own\nversion: 1\ninputs: {question: data}\n---\n## user\n{question}\n"


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    (tmp_path / "prompts" / "own").mkdir(parents=True)
    (tmp_path / "prompts" / "own" / "mine.md").write_text(PROMPT)
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "outer.yaml").write_text(OUTER)
    return tmp_path / "outer.yaml"


async def test_a_graph_runs_as_a_step_with_its_inputs_and_gives_its_outputs(outer: Path) -> None:
    events: list[Event] = []
    model = ScriptedModel(["one", "two", "three"])
    deps = fake_deps({"writer": model, "other": model}, events=events)
    outputs = await execute(Program.of(load_graph(outer)), {"question": "why?"}, deps)
    assert outputs == {"answer": "three", "draft": "two"}
    steps = [(event.step, event.node) for event in events if isinstance(event, StepStarted)]
    assert steps == [
        ("flow.0.graph.0:ask", "inner/ask"),
        ("flow.0.graph.1:again", "inner/again"),
        ("flow.1:end", "end"),
    ]
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert set(end.usage) == {"inner/ask", "inner/again", "end"}
    assert "tone" not in end.state


async def test_what_is_too_long_for_an_input_of_another_graph_is_cut(outer: Path) -> None:
    (outer.parent / "inner.yaml").write_text(INNER.replace("models:", "channels: {question: {bytes: 5}}\nmodels:"))
    model = ScriptedModel(lambda request: "?")
    await execute(Program.of(load_graph(outer)), {"question": "a long question"}, fake_deps({"writer": model, "other": model}))
    assert [request.messages[-1].content for request in model.requests][:2] == ["a lon", "a lon"]


def test_slots_of_inner_graphs_are_slots_of_the_outer_one(outer: Path) -> None:
    assert load_graph(outer).slots == {"writer": "gpt", "other": "local"}


async def test_a_graph_can_return_before_its_end() -> None:
    flow = """\
  - fast
  - choose:
      - when: "question == 'cat'"
        do: [return: {}]
      - otherwise: []
  - tell
"""
    assert (await run(flow)).outputs == {"answer": "fast"}
    assert (await run(flow, question="dog")).outputs == {"answer": "dog fast"}


async def test_a_return_takes_an_output_from_another_channel() -> None:
    flow = "  - each: {in: xs, as: x, do: [item], collect: {answer: ys}, at_most: 2}\n  - return: {answer: question}"
    assert (await run(flow)).outputs == {"answer": "cat"}


ASKING = """\
  - search
  - ask_human: {question: "Send {passages}?", choices: [approve, refuse], out: decision}
  - choose:
      - when: "decision == 'approve'"
        do: [fast]
      - otherwise: [tell]
"""


async def test_a_run_waits_for_a_person_and_goes_on_with_the_answer() -> None:
    journal = MemoryJournal()
    deps = replace(fake_deps(), journal=journal, run="waiting")
    with pytest.raises(PausedError) as caught:
        await run(ASKING, deps)
    step = "flow.1.ask_human"
    assert caught.value.questions == {step: Question("Send ?", ("approve", "refuse"))}
    assert journal.ended == {"waiting": "paused"}
    journal.settle("waiting", step, {"answer": "approve"})
    course = await run(ASKING, deps)
    assert course.outputs == {"answer": "fast"}
    assert len(journal.calls) == 1  # the search before the pause was not made again


async def test_a_fork_has_the_answer_of_its_parent_where_it_asks_the_same() -> None:
    journal = MemoryJournal()
    deps = replace(fake_deps(), journal=journal, run="waiting")
    with pytest.raises(PausedError) as caught:
        await run(ASKING, deps)
    ((step, question),) = caught.value.questions.items()
    journal.settle("waiting", step, kept(question, "approve"))
    fork = replace(deps, run="fork", origin=Origin(parent="waiting"))
    assert (await run(ASKING, fork)).outputs == {"answer": "fast"}
    for other in (ASKING.replace("Send", "Drop"), ASKING.replace("approve", "accept")):
        with pytest.raises(PausedError):
            await run(other, replace(fork, run=other))
    with pytest.raises(PausedError):
        await run(ASKING, replace(deps, run="cut", origin=Origin(parent="waiting", cut="flow.0")))


async def test_questions_of_parallel_branches_are_asked_together() -> None:
    flow = """\
  - parallel:
      branches:
        a: [ask_human: {question: "a?", out: first}]
        b: [slow, ask_human: {question: "b?", out: second}]
"""
    journal = MemoryJournal()
    deps = replace(fake_deps(), journal=journal, run="waiting")
    with pytest.raises(PausedError) as caught:
        await run(flow, deps, outputs="[answer, first, second]")
    assert [question.text for question in caught.value.questions.values()] == ["a?", "b?"]
    for step, question in caught.value.questions.items():
        journal.settle("waiting", step, {"answer": f"to {question.text}"})
    course = await run(flow, deps, outputs="[answer, first, second]")
    assert course.outputs == {"answer": "slow", "first": "to a?", "second": "to b?"}


async def test_an_error_inside_another_graph_names_the_step(outer: Path) -> None:
    with pytest.raises(NodeError, match=r"Node 'inner/ask' \(step flow.0.graph.0:ask\) failed: the script"):
        await execute(Program.of(load_graph(outer)), {"question": "?"}, fake_deps(ScriptedModel([])))
