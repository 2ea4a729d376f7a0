"""LangGraph graphs as nodes of ours."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import ValidationError

from agentrag.core.errors import NodeError, RunError, SpecError
from agentrag.core.node import Node
from agentrag.core.types import Message, Passage
from agentrag.graph.forms.python import spec_from_python
from agentrag.graph.forms.yaml import to_yaml
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.mount import Invocable, Mounted, mount
from agentrag.graph.spec import GraphSpec
from agentrag.testing.fakes import fake_deps
from tests.graph.sample_nodes import Fail


class Talk(TypedDict, total=False):
    """State of the foreign graphs."""

    text: str
    said: str


def foreign(node: Any, saver: InMemorySaver | None = None) -> Any:
    """A compiled LangGraph graph of one node."""
    graph = StateGraph(Talk)
    graph.add_node("only", node)
    graph.add_edge(START, "only")
    graph.add_edge("only", END)
    return graph.compile(checkpointer=saver)


class Counted:
    """Counts how often a foreign graph runs, and keeps what it was given."""

    def __init__(self, result: Any = None) -> None:
        self.given: list[Any] = []
        self.result = {"said": "well"} if result is None else result

    async def ainvoke(self, state: Any, /) -> Any:
        self.given.append(state)
        return self.result


def graph_of(node: Node, after: Node | None = None) -> GraphSpec:
    header = {
        "name": "host",
        "inputs": {"question": "str", "history": {"type": "history", "default": []}},
        "outputs": ["answer"],
    }
    more = {"after": after} if after else {}
    return spec_from_python(header, {"mounted": node, **more}, ["mounted", *more], {}, {})


async def test_a_langgraph_graph_runs_as_a_step() -> None:
    inner = foreign(lambda state: {"said": state["text"].upper()})
    spec = graph_of(mount(inner, in_={"text": "question"}, out={"said": "answer"}))
    assert await execute(Program.of(spec), {"question": "who?"}, fake_deps()) == {"answer": "WHO?"}


async def test_a_resumed_run_does_not_run_it_again() -> None:
    inner = Counted()
    deps = replace(fake_deps(), run="one")
    node = mount(inner, in_={"text": "question", "turns": "history"}, out={"said": "answer"})
    inputs = {"question": "who?", "history": [Message("user", "hello")]}
    with pytest.raises(NodeError):
        await execute(Program.of(graph_of(node, Fail())), inputs, deps)
    assert await execute(Program.of(graph_of(node)), inputs, deps) == {"answer": "well"}
    assert inner.given == [{"text": "who?", "turns": [{"role": "user", "content": "hello"}]}]


async def test_it_writes_nothing_into_the_checkpoints_of_the_run_that_mounts_it() -> None:
    saver = InMemorySaver()
    node = mount(foreign(lambda state: {"said": "well"}), in_={"text": "question"}, out={"said": "answer"})

    async def host(_: Talk) -> Talk:
        wrote = await node({"question": "who?"}, fake_deps())
        return {"said": wrote["answer"]}

    outer = foreign(host, saver)
    assert (await outer.ainvoke({"text": ""}, {"configurable": {"thread_id": "t"}}))["said"] == "well"
    assert list(saver.storage["t"]) == [""]


async def test_a_cancelled_step_cancels_it() -> None:
    ended = asyncio.Event()

    class Endless:
        async def ainvoke(self, state: Any, /) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(mount(Endless(), in_={}, out={"said": "answer"})({}, fake_deps()), 0.01)
    assert ended.is_set()


async def test_values_of_standard_channels_get_their_type_and_others_stay_json() -> None:
    found = {"id": "a", "text": "t", "source": "s"}
    inner = Counted({"documents": [found, Passage("b", "t", "s")], "notes": (1, {"x"})})
    wrote = await mount(inner, in_={}, out={"documents": "passages", "notes": "notes"})({}, fake_deps())
    assert wrote == {"passages": [Passage("a", "t", "s"), Passage("b", "t", "s")], "notes": [1, ["x"]]}


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (Counted({"other": 1}), "mount/langgraph gave no 'said'; it gave other"),
        (Counted({}), "mount/langgraph gave no 'said'; it gave nothing"),
        (Counted("well"), "mount/langgraph gave str instead of a mapping"),
        (Counted({"said": object()}), "output 'said' is not JSON data: Unable to serialize unknown type: <class 'object'>"),
        (Counted({"said": 7}), "7 does not fit channel 'answer': answer: Input should be a valid string"),
        (
            foreign(lambda state: {"said": interrupt("who?")}),
            "mount/langgraph waits for a person; ask with ask_human in the graph",
        ),
    ],
    ids=["other keys", "nothing", "no mapping", "no JSON", "wrong type", "interrupt"],
)
async def test_what_a_foreign_graph_does_wrong_is_an_error_of_the_step(inner: Invocable, said: str) -> None:
    spec = graph_of(mount(inner, in_={"text": "question"}, out={"said": "answer"}))
    with pytest.raises(NodeError) as caught:
        await execute(Program.of(spec), {"question": "who?"}, fake_deps())
    assert str(caught.value).startswith(f"Node 'mounted' (step flow.0:mounted) failed: {said}")


async def test_input_that_is_no_json_is_an_error() -> None:
    with pytest.raises(RunError, match="input 'text' is not JSON data"):
        await mount(Counted(), in_={"text": "thing"}, out={"said": "answer"})({"thing": object()}, fake_deps())


@pytest.mark.parametrize("out", [{}, {"a": "answer", "b": "answer"}], ids=["none", "one channel twice"])
def test_a_mount_that_writes_nothing_or_one_channel_twice_is_refused(out: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        mount(Counted(), in_={}, out=out)


def test_it_is_refused_by_yaml_and_by_checks_of_its_channels() -> None:
    node = mount(Counted(), in_={"text": "question"}, out={"said": "answer"})
    assert isinstance(node, Mounted)
    with pytest.raises(SpecError, match="its type, Mounted, has no registered name: it exists in Python only"):
        to_yaml(graph_of(node))
    with pytest.raises(SpecError, match="Unknown channel 'sadi'"):
        graph_of(mount(Counted(), in_={"text": "question"}, out={"said": "sadi", "x": "answer"}))
