"""The LangGraph boundary."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agentrag.core.deps import Deps
from agentrag.core.errors import InputError, ModelError, NodeError, RunError
from agentrag.core.events import CallFinished, Event, RunFinished, RunStarted, StepFinished, StepStarted, Token
from agentrag.core.types import ChatRequest, Completion, Passage
from agentrag.graph.compile import compile_graph, stream_run
from agentrag.graph.compile.whole import MOST_WAITING, Backlog
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.graph.spec import GraphSpec
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages

SEARCH = """\
agentrag: 1
name: look-up
inputs: {question: str, style: {type: str, default: full, values: [full, short]}}
outputs: [answer, passages]
nodes:
  search: {use: t.search, k: 2}
  say: {use: t.say, text: "{style}: {question}"}
flow: [search, say]
"""
ASK = """\
agentrag: 1
name: ask-a-model
inputs: {question: str, history: history}
outputs: [answer]
models: {writer: default}
nodes: {ask: {use: t.ask, prompt: chat/condense}}
flow: [ask]
"""


def graph(text: str = SEARCH) -> GraphSpec:
    return load_graph_text(text, "case.yaml")


def deps(**given: Any) -> Deps:
    return replace(fake_deps(**{"collection": passages("cat", "dog"), **given}), run="run-1")


async def streamed(spec: GraphSpec, inputs: dict[str, Any], back_ends: Deps) -> list[Event]:
    return [event async for event in stream_run(compile_graph(spec), spec, inputs, back_ends)]


def timeless(events: list[Event]) -> list[Any]:
    """Events without how long things took."""
    kept = (event for event in events if not isinstance(event, CallFinished | RunFinished))
    return [(event.step, event.node, event.wrote) if isinstance(event, StepFinished) else event for event in kept]


async def test_streaming_tells_the_same_events_as_the_bare_interpreter() -> None:
    bare: list[Event] = []
    await execute(Program.of(graph()), {"question": "cat?"}, deps(events=bare))
    heard: list[Event] = []
    told = await streamed(graph(), {"question": "cat?"}, deps(events=heard))
    assert told == heard
    assert [type(event) for event in told] == [type(event) for event in bare]
    assert timeless(told) == timeless(bare)
    assert isinstance(told[-1], RunFinished)
    assert told[-1].outputs["answer"] == "full: cat?"


async def test_langgraph_callers_get_the_outputs_and_nothing_else() -> None:
    compiled = compile_graph(graph())
    outputs = await compiled.ainvoke({"question": "cat?", "style": "short"}, context=deps())
    assert outputs["answer"] == "short: cat?"
    assert {passage.id for passage in outputs["passages"]} == {"cat", "dog"}
    assert outputs.keys() == {"answer", "passages"}


def test_langgraph_callers_without_an_event_loop_get_the_same() -> None:
    outputs = compile_graph(graph()).invoke({"question": "cat?"}, context=deps())
    assert outputs["answer"] == "full: cat?"


async def test_langgraph_callers_can_stream_events_and_values() -> None:
    parts = [
        part
        async for part in compile_graph(graph()).astream(
            {"question": "cat?"}, context=deps(), stream_mode=["custom", "values"], version="v2"
        )
    ]
    kinds = [type(part["data"]).__name__ if part["type"] == "custom" else part["type"] for part in parts]
    steps = ["StepStarted", "CallFinished", "StepFinished", "StepStarted", "StepFinished"]
    assert kinds == ["values", "RunStarted", *steps, "RunFinished", "values"]


async def test_a_run_without_back_ends_says_how_to_get_them() -> None:
    with pytest.raises(RunError, match="Pass context=deps"):
        await compile_graph(graph()).ainvoke({"question": "cat?"})


def test_the_langgraph_graph_knows_its_name_and_types() -> None:
    compiled = compile_graph(graph())
    assert compiled.get_name() == "look-up"
    assert compiled.get_input_jsonschema()["properties"].keys() == {"question", "style"}
    assert compiled.get_output_jsonschema()["properties"].keys() == {"answer", "passages"}


class Outer(TypedDict, total=False):
    question: str
    answer: str
    other: int


async def test_a_graph_is_a_node_of_another_langgraph_graph() -> None:
    builder = StateGraph(Outer, context_schema=Deps)
    builder.add_node("inner", compile_graph(graph()))
    builder.add_edge(START, "inner")
    builder.add_edge("inner", END)
    result = await builder.compile().ainvoke({"question": "cat?", "other": 1}, context=deps())
    assert result == {"question": "cat?", "answer": "full: cat?", "other": 1}


async def test_state_survives_a_strict_checkpointer_with_its_types() -> None:
    compiled = compile_graph(graph())
    saver = InMemorySaver()
    saved = compiled.copy(update={"checkpointer": saver})
    config: Any = {"configurable": {"thread_id": "1"}}
    await saved.ainvoke({"question": "cat?"}, config, context=deps())
    state = (await saved.aget_state(config)).values
    assert all(isinstance(passage, Passage) for passage in state["passages"])
    assert not any(isinstance(value, Deps) for value in state.values())


async def test_in_a_thread_an_input_that_is_not_given_keeps_its_last_value() -> None:
    saved = compile_graph(graph()).copy(update={"checkpointer": InMemorySaver()})
    config: Any = {"configurable": {"thread_id": "1"}}
    await saved.ainvoke({"question": "cat?", "style": "short"}, config, context=deps())
    assert (await saved.ainvoke({"question": "dog?"}, config, context=deps()))["answer"] == "short: dog?"


async def test_a_wrong_input_is_refused_before_langgraph_drops_it() -> None:
    with pytest.raises(InputError, match="Unknown input 'stlye'"):
        await streamed(graph(), {"question": "cat?", "stlye": "short"}, deps())


async def test_a_model_error_is_reachable_through_the_boundary() -> None:
    failing = ScriptedModel([ModelError("the server said 503", retryable=True, retry_after=2.0)])
    with pytest.raises(NodeError, match=r"^Node 'ask' \(step flow.0:ask\) failed: the server said 503") as caught:
        await streamed(graph(ASK), {"question": "cat?", "history": []}, deps(model=failing))
    assert isinstance(caught.value.__cause__, ModelError)
    assert caught.value.__cause__.retry_after == 2.0


class SlowModel:
    """Tells one piece of text, then works until it is cancelled."""

    name = "slow"

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def complete(self, request: ChatRequest, on_text: Any = None) -> Completion:
        on_text("first")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Completion("never")

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_tokens_arrive_while_the_node_works_and_leaving_the_stream_cancels_it() -> None:
    model = SlowModel()
    spec = graph(ASK)
    async with aclosing(stream_run(compile_graph(spec), spec, {"question": "?", "history": []}, deps(model=model))) as events:
        seen: list[Event] = []
        async for event in events:
            seen.append(event)
            if isinstance(event, Token):
                break
    assert [type(event) for event in seen] == [RunStarted, StepStarted, Token]
    assert model.cancelled.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_the_consumer_cancels_the_run() -> None:
    model = SlowModel()
    heard: list[Event] = []
    task = asyncio.create_task(streamed(graph(ASK), {"question": "?", "history": []}, deps(model=model, events=heard)))
    while not any(isinstance(event, Token) for event in heard):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.cancelled.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_concurrent_runs_of_one_compiled_graph_do_not_mix() -> None:
    spec = graph()
    compiled = compile_graph(spec)

    async def one(number: int) -> Any:
        last = [event async for event in stream_run(compiled, spec, {"question": str(number)}, deps())][-1]
        assert isinstance(last, RunFinished)
        return last.outputs["answer"]

    assert await asyncio.gather(*(one(number) for number in range(20))) == [f"full: {number}" for number in range(20)]


def _isolated(code: str, **environment: str) -> str:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("LANGSMITH", "LANGCHAIN", "LANGGRAPH"))}
    done = subprocess.run([sys.executable, "-c", code], env=ours | environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_loading_checking_and_drawing_a_graph_does_not_load_langgraph() -> None:
    code = """
import sys
from agentrag.graph.loader import load_graph
from agentrag.graph.forms.draw import mermaid
import agentrag.graph.forms.python
mermaid(load_graph("ask"))
print([name for name in ("langgraph", "langchain_core") if name in sys.modules])
"""
    assert _isolated(code) == "[]"


@pytest.mark.parametrize(("given", "value"), [({}, "false"), ({"LANGSMITH_TRACING": "true"}, "true")])
def test_traces_leave_the_machine_only_where_the_user_asked_for_it(given: dict[str, str], value: str) -> None:
    code = (
        "import os, agentrag.graph.compile as c; print(os.environ['LANGSMITH_TRACING'], os.environ['LANGGRAPH_STRICT_MSGPACK'])"
    )
    assert _isolated(code, **given) == f"{value} true"


def test_what_nobody_takes_grows_with_texts_and_steps_and_not_with_their_pieces() -> None:
    backlog = Backlog()
    for _ in range(MOST_WAITING):
        backlog.add(Token("flow.0:a", "answer", "x"))
    for _ in range(500):
        backlog.add(Token("flow.0:a", "answer", "y"))
        backlog.add(Token("flow.1:b", "answer", "z"))
    backlog.add(StepStarted("flow.2:c", "c"))
    backlog.add(Token("flow.0:a", "answer", "end"))
    events = backlog.taken()
    assert len(events) == MOST_WAITING + 3
    assert "".join(event.text for event in events if isinstance(event, Token) and event.step == "flow.0:a") == (
        "x" * MOST_WAITING + "y" * 500 + "end"
    )
    assert isinstance(events[-2], StepStarted)
    assert len(backlog) == 0
