"""A graph exported to LangGraph step by step."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agentrag.core.deps import Deps
from agentrag.core.errors import ExhaustedError, InputError, ModelError, NodeError, RunError
from agentrag.core.events import Event, RunFinished, StepFinished, StepStarted
from agentrag.graph.compile import Compiled, compile_steps
from agentrag.graph.interpreter import execute
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.compile.test_whole import timeless
from tests.graph.flow.running import program, run

THREAD: Any = {"configurable": {"thread_id": "1"}}
CHOICE = """\
  - search
  - choose:
      - when: "question == 'cat'"
        do: [tell, tell]
      - when: "question == 'dog'"
        do: [{return: {answer: question}}]
      - otherwise: []
  - tell
"""
LOOP = '  - repeat: {do: [ask, weigh], until: "stable(answer)", at_most: 4, best_by: support}\n'
NESTED = """\
  - repeat:
      do:
        - ask
        - repeat: {do: [tell, weigh], until: "support > 20.0", at_most: 3, on_exhausted: [search, fast]}
        - choose: [{when: "novelty(answer) < 0.5", do: [fast]}, {otherwise: []}]
      until: "agreement(answer) > 0.4"
      at_most: 3
  - tell
"""
FAN = """\
  - tell
  - parallel: {branches: {a: [search], b: [wide, fast]}, join: {passages: rrf}}
  - each: {in: xs, as: x, do: [item], collect: {answer: answers}, at_most: 2}
"""
FLOWS = {
    "choose": CHOICE,
    "loop": LOOP,
    "nested": NESTED,
    "fan": FAN,
    "steps after": "  - repeat: {do: [ask], until: \"answer == 'no'\", at_most: 2, on_exhausted: [tell, fast]}\n  - tell\n",
    "empty steps after": "  - repeat: {do: [ask], until: \"answer == 'no'\", at_most: 2, on_exhausted: []}\n",
    "always steps after": "  - repeat: {do: [ask], at_most: 2, on_exhausted: [tell]}\n",
    "one round": "  - repeat: {do: [ask, weigh], at_most: 1}\n",
    "return in a loop": "  - repeat: {do: [ask, {return: {}}], at_most: 2}\n",
    "loop in loop": '  - repeat: {do: [{repeat: {do: [ask], at_most: 2}}, tell], until: "stable(answer)", at_most: 2}\n',
}


def steps(flow: str, checkpointer: Any = None, outputs: str = "[answer]") -> Compiled:
    return compile_steps(program(flow, outputs).spec, checkpointer)


def deps(*replies: str | Exception, **given: Any) -> Deps:
    model = ScriptedModel(replies or (lambda _: "same"))
    return fake_deps(**{"model": model, "collection": passages("a cat", "dog", "cat"), **given})


def heard(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def limit_of(compiled: Compiled) -> int:
    assert compiled.config is not None
    return compiled.config["recursion_limit"]


@pytest.mark.parametrize("question", ["cat", "dog", "none"])
@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
async def test_it_tells_the_same_events_as_the_interpreter_and_gives_the_same(flow: str, question: str) -> None:
    outputs = "[answer, answers]" if "answers" in flow else "[answer]"
    replies = ["one", "two two", "three", *["same"] * 20]
    given = {"question": question, "xs": ["x", "y", "z"]}
    course = await run(flow, replace(deps(*replies), run="r"), outputs, **given)
    events: list[Event] = []
    told = await steps(flow, outputs=outputs).ainvoke(given, context=replace(deps(*replies, events=events), run="r"))
    assert told == course.outputs
    assert timeless(events) == timeless(course.events)
    (end,) = heard(events, RunFinished)
    assert end.state == course.state
    assert end.usage.keys() == course.told(RunFinished)[0].usage.keys()


async def test_langgraph_streams_the_events_and_the_writes_of_each_step() -> None:
    parts = [
        part
        async for part in steps(LOOP).astream(
            {"question": "cat"}, context=deps("a", "a"), stream_mode=["custom", "updates"], version="v2"
        )
    ]
    assert [type(part["data"]) for part in parts if part["type"] == "custom"].count(StepFinished) == 4
    writes = [part["data"] for part in parts if part["type"] == "updates"]
    assert writes[0] == {"flow.begin": {"xs": []}}
    assert writes[2:4] == [{"ask": {"answer": "a"}}, {"weigh": {"support": 1.0}}]
    assert [next(iter(write)) for write in writes[4:]] == ["flow.0.repeat.end", "ask", "weigh", "flow.0.repeat.end", "flow.end"]


def test_langgraph_draws_every_step_with_its_branches_and_rounds() -> None:
    drawn = steps(CHOICE).get_graph()
    arrows = {(edge.source, edge.target, edge.data) for edge in drawn.edges}
    choice = "flow.1.choose"
    assert arrows == {
        (START, "flow.begin", None),
        ("flow.begin", "search", None),
        ("search", choice, None),
        (choice, f"{choice}.0.0.tell", "0"),
        (f"{choice}.0.0.tell", f"{choice}.0.1.tell", None),
        (f"{choice}.0.1.tell", "flow.2.tell", None),
        (choice, f"{choice}.1.0.return", "1"),
        (f"{choice}.1.0.return", END, None),
        (choice, "flow.2.tell", "otherwise"),
        ("flow.2.tell", "flow.end", None),
        ("flow.end", END, None),
    }
    again = {(edge.source, edge.target) for edge in steps(LOOP).get_graph().edges if edge.data == "again"}
    assert again == {("flow.0.repeat.end", "ask")}
    assert "ask --> weigh;" in steps(LOOP).get_graph().draw_mermaid()


async def test_a_step_that_fans_out_is_one_node() -> None:
    nodes = list(steps(FAN, outputs="[answer, answers]").get_graph().nodes)
    assert nodes == [START, "flow.begin", "tell", "flow.1.parallel", "flow.2.each", "flow.end", END]


async def test_a_run_that_failed_step_by_step_is_finished_by_the_interpreter_and_the_other_way_round() -> None:
    flow = "  - search\n  - repeat: {do: [ask, weigh], at_most: 3, best_by: support}\n"
    journal = MemoryJournal()
    broken = [ModelError("down")]
    with pytest.raises(NodeError, match="down"):
        await steps(flow).ainvoke({"question": "cat"}, context=replace(deps("a", *broken), journal=journal, run="r"))
    with pytest.raises(NodeError, match="down"):
        await execute(program(flow), {"question": "cat"}, replace(deps("bb", *broken), journal=journal, run="r"))
    outputs = await steps(flow).ainvoke({"question": "cat"}, context=replace(deps("c"), journal=journal, run="r"))
    assert outputs == {"answer": "bb"}
    assert [call.step for call in journal.calls] == [
        "flow.0:search",
        "flow.1.repeat#1.0:ask",
        "flow.1.repeat#2.0:ask",
        "flow.1.repeat#3.0:ask",
    ]


async def test_a_loop_that_may_not_be_exhausted_fails_as_in_the_interpreter() -> None:
    flow = "  - repeat: {do: [ask], until: \"answer == 'no'\", at_most: 2, on_exhausted: fail}\n"
    with pytest.raises(ExhaustedError, match=r"Step flow.0.repeat: after 2 rounds 'answer == 'no'' is still not true"):
        await steps(flow).ainvoke({"question": "cat"}, context=deps())


@pytest.mark.parametrize(
    ("flow", "longest"),
    [(CHOICE, 7), (LOOP, 15), ("  - repeat: {do: [ask], at_most: 5, on_exhausted: [tell, tell]}\n", 15), (NESTED, 52)],
    ids=["choose", "loop", "steps after", "nested"],
)
async def test_no_legal_run_meets_langgraphs_recursion_limit(flow: str, longest: int) -> None:
    compiled = steps(flow)
    assert limit_of(compiled) == longest + 1
    replies = [f"{word} {word}" for word in "abcdefghijkl"]
    nodes = [name async for part in compiled.astream({"question": "cat"}, context=deps(*replies)) for name in part]
    assert len(nodes) <= longest


async def test_the_longest_run_takes_as_many_steps_as_the_limit_allows() -> None:
    flow = "  - repeat: {do: [ask, {repeat: {do: [tell, tell], at_most: 3}}], at_most: 4}\n"
    compiled = steps(flow)
    nodes = [name async for part in compiled.astream({"question": "cat"}, context=deps()) for name in part]
    assert len(nodes) == 2 + 1 + 4 * (1 + 1 + 3 * 3 + 1)
    less: Any = {"recursion_limit": limit_of(compiled) - 1}
    with pytest.raises(GraphRecursionError):
        await compiled.ainvoke({"question": "cat"}, less, context=deps())


def test_callers_without_an_event_loop_get_the_same() -> None:
    assert steps(LOOP).invoke({"question": "cat"}, context=deps("a", "b", "b")) == {"answer": "b"}


class Outer(TypedDict, total=False):
    question: str
    answer: str
    other: int


async def test_it_is_a_node_of_another_langgraph_graph_and_goes_on_inside_it() -> None:
    builder = StateGraph(Outer, context_schema=Deps)
    builder.add_node("inner", steps("  - search\n  - ask\n"))
    builder.add_edge(START, "inner")
    compiled = builder.compile(InMemorySaver())
    journal = MemoryJournal()
    context = replace(deps(ModelError("down")), journal=journal)
    with pytest.raises(NodeError, match="down"):
        await compiled.ainvoke({"question": "cat?", "other": 1}, THREAD, context=context)
    result = await compiled.ainvoke(None, THREAD, context=replace(deps("yes"), journal=journal))
    assert result == {"question": "cat?", "answer": "yes", "other": 1}
    assert [call.kind for call in journal.calls] == ["search", "chat"]


async def test_a_wrong_input_is_refused_before_anything_runs() -> None:
    events: list[Event] = []
    with pytest.raises(InputError, match="Input 'question'"):
        await steps(LOOP).ainvoke({"question": 3}, context=deps(events=events))
    assert events == []


async def test_a_run_without_back_ends_says_how_to_get_them() -> None:
    with pytest.raises(RunError, match="Pass context=deps"):
        await steps(LOOP).ainvoke({"question": "cat?"})


async def test_cancelling_who_waits_cancels_the_step_that_works() -> None:
    compiled = steps("  - stuck\n")
    events: list[Event] = []
    task = asyncio.create_task(compiled.ainvoke({"question": "cat"}, context=deps(events=events)))
    while not heard(events, StepStarted):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
