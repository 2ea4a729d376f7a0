"""The types of the Python form, as a type checker sees them; pytest runs the same lines.

A line that a type checker must refuse carries `type: ignore`, which the checker reports where it does not refuse it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypedDict, assert_type

import pytest
from langgraph.graph import END, START, StateGraph

from agentrag import Graph, Result, ask_human, choose, each, mount, parallel, repeat, return_, seq, subgraph
from agentrag.core.errors import SpecError
from agentrag.core.events import Event
from agentrag.graph.forms.python import FlowStep
from agentrag.graph.mount import Mounted
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import AskHuman, Choose, Each, Parallel, Repeat, Return, Step, SubGraph
from agentrag.nodes.abstain import Abstain
from agentrag.testing import fake_deps


def refusing() -> Graph:
    return Graph("refusing", inputs={"question": "str"}, outputs=["answer"], nodes={"refuse": Abstain()}, flow=["refuse"])


def test_every_function_makes_the_step_of_its_name() -> None:
    assert_type(choose({"a": ["x"]}, otherwise=[]), Choose)
    assert_type(repeat(["x"], at_most=2), Repeat)
    assert_type(parallel({"a": ["x"], "b": []}, wait={"quorum": 1}), Parallel)
    assert_type(each(["x"], in_="xs", as_="one", collect={"answer": "answers"}, at_most=2), Each)
    assert_type(subgraph("ask", out={"answer": "answer"}), SubGraph)
    assert_type(ask_human("Well?", out="decision"), AskHuman)
    assert_type(return_(), Return)


def test_steps_of_all_kinds_make_one_flow() -> None:
    names = ["x", "y"]
    assert_type(seq(), list[FlowStep])
    assert_type(seq("x", names, [return_()], seq("y")), list[FlowStep])
    step: Step = repeat([choose({"a": names}, otherwise=[return_()]), *names], at_most=2, on_exhausted=names)
    assert isinstance(step, Repeat)


def test_what_has_the_wrong_type_is_refused_by_checkers_and_at_run_time() -> None:
    with pytest.raises(SpecError):
        repeat(["x"], at_most="2 times")  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        repeat([7], at_most=2)  # type: ignore[list-item]
    with pytest.raises(SpecError):
        parallel({"a": [], "b": []}, wait="some")  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        parallel({"a": [], "b": []}, wait={"quorm": 1})  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        each([], in_="xs", as_="x", collect={}, at_most=2, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        each([], in_="xs", as_="x", at_most=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        repeat([], at_most=2, untill="a")  # type: ignore[call-arg]


def test_a_graph_is_typed_as_it_is_used() -> None:
    graph = refusing()
    assert_type(graph.spec, GraphSpec)
    assert_type(graph.draw(), str)
    assert_type(graph.to_yaml(), str)
    assert_type(Graph.load("ask"), Graph)
    assert_type(subgraph(graph, in_={"question": "question"}, out={"answer": "answer"}), SubGraph)
    result = graph.run_sync(fake_deps(), question="?")
    assert_type(result, Result)
    assert_type(result.outputs["answer"], Any)


async def test_a_run_is_awaited_for_its_result_and_a_stream_yields_events() -> None:
    graph = refusing()
    assert_type(await graph.run(fake_deps(), question="?"), Result)
    events = graph.stream(fake_deps(), question="?")
    assert_type(events, AsyncGenerator[Event, None])
    async for event in events:
        assert_type(event, Event)


class Talk(TypedDict, total=False):
    """State of a foreign graph."""

    text: str


async def _reply(state: Talk) -> Talk:
    return {"text": state["text"].upper()}


def test_a_compiled_langgraph_graph_can_be_mounted() -> None:
    builder = StateGraph(Talk)
    builder.add_node("reply", _reply)
    builder.add_edge(START, "reply")
    builder.add_edge("reply", END)
    assert_type(mount(builder.compile(), in_={"text": "question"}, out={"text": "answer"}), Mounted)
