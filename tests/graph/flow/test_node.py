"""Attempts, time limits, other names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentrag.core.errors import ModelError, NodeError
from agentrag.core.events import AttemptFailed, StepFailed, StepFinished, Token
from agentrag.graph.flow import node as node_step
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import Course
from tests.graph.sample_nodes import PROMPTS

HEAD = "agentrag: 1\nname: case\ninputs: {question: str}\noutputs: [answer]\n"


async def run(body: str, deps: object = None) -> Course:
    events: list[object] = []
    spec = load_graph_text(HEAD + body, "case.yaml", PROMPTS)
    given = await execute(Program.of(spec), {"question": "?"}, replace(deps or fake_deps(), listen=events.append))  # type: ignore[type-var, arg-type]
    return Course(given, events)  # type: ignore[arg-type]


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_step, "RETRY_WAIT", 0.0)


ASK = "models: {writer: default}\nnodes: {ask: {use: t.ask, prompt: t/plain, retry: 2}}\nflow: [ask]"
BUSY = ModelError("busy", retryable=True)


@pytest.mark.usefixtures("_no_waiting")
async def test_an_attempt_that_may_pass_is_made_again() -> None:
    course = await run(ASK, fake_deps(ScriptedModel([BUSY, BUSY, "well"])))
    assert course.outputs == {"answer": "well"}
    assert course.told(AttemptFailed) == [AttemptFailed("flow.0:ask", "ask", n, "busy") for n in (1, 2)]
    assert [event.step for event in course.told(StepFinished)] == ["flow.0:ask"]


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize(
    ("error", "asked"), [(BUSY, 3), (ModelError("refused"), 1), (ConnectionResetError("gone"), 3), (ValueError("bug"), 1)]
)
async def test_attempts_end_with_the_last_or_with_an_error_that_stays(error: Exception, asked: int) -> None:
    model = ScriptedModel(lambda request: error)
    with pytest.raises(NodeError) as caught:
        await run(ASK, fake_deps(model))
    assert caught.value.__cause__ is error
    assert len(model.requests) == asked


async def test_a_failed_step_is_told() -> None:
    events: list[object] = []
    deps = replace(fake_deps(ScriptedModel([])), listen=events.append)
    program = Program.of(load_graph_text(HEAD + ASK, "case.yaml", PROMPTS))
    with pytest.raises(NodeError):
        await execute(program, {"question": "?"}, deps)
    assert [event.reason for event in events if isinstance(event, StepFailed)] == ["the script of 0 replies has ended"]
    assert deps.journal.ended  # type: ignore[attr-defined]
    assert set(deps.journal.ended.values()) == {"failed"}  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_no_waiting")
async def test_a_resumed_run_does_not_make_a_failed_attempt_again() -> None:
    journal = MemoryJournal()
    deps = replace(fake_deps(), journal=journal, run="again")
    flow = ASK.replace("flow: [ask]", "flow: [ask, ask]")
    with pytest.raises(NodeError):
        await run(flow, replace(deps, models={"writer": ScriptedModel([BUSY, "one"])}))
    model = ScriptedModel(["two"])
    course = await run(flow, replace(deps, models={"writer": model}))
    assert course.outputs == {"answer": "two"}
    assert len(model.requests) == 1
    assert course.told(AttemptFailed)[0] == AttemptFailed("flow.0:ask", "ask", 1, "busy")


async def test_an_attempt_that_takes_too_long_is_ended() -> None:
    body = "nodes: {slow: {use: t.slow, text: late, seconds: 30, timeout: 0.02}}\nflow: [slow]"
    with pytest.raises(NodeError, match=r"Node 'slow' \(step flow.0:slow\) failed: TimeoutError: it took longer than 0.02 s"):
        await run(body)


async def test_a_channel_may_be_written_under_another_name() -> None:
    body = """\
models: {writer: default}
nodes:
  ask: {use: t.ask, prompt: t/plain, out: {answer: draft}}
  end: {use: t.say, text: "<{draft}>"}
flow: [ask, end]
"""
    course = await run(body, fake_deps(ScriptedModel(["so"])))
    assert course.outputs == {"answer": "<so>"}
    assert course.told(StepFinished)[0].wrote == {"draft": "so"}
    assert [event.channel for event in course.told(Token)] == ["draft"]
