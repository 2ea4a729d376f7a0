"""A graph as one LangGraph node that holds the whole flow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from agentrag.core.deps import Deps
from agentrag.core.events import Event, Token
from agentrag.graph.compile.checkpoints import Saver, allowing
from agentrag.graph.compile.task import given, run_id, with_answers
from agentrag.graph.flow.program import Program
from agentrag.graph.inputs import checked_inputs
from agentrag.graph.interpreter import execute
from agentrag.graph.spec import GraphSpec

Compiled = CompiledStateGraph[Any, Deps, Any, Any]
NODE = "flow"
"""Name of the one node."""


def compile_graph(spec: GraphSpec, checkpointer: Saver | None = None) -> Compiled:
    """Make a LangGraph graph of a checked graph. Its input and output are the graph's.

    Pass back ends as `context=deps`. `ainvoke` and `invoke` return the outputs (`invoke` needs a thread without a running
    event loop); `astream(..., stream_mode="custom", version="v2")` yields the events of `agentrag.core.events`. In a thread
    a question to a person is an interrupt; see `agentrag.graph.compile.task.with_answers`.
    Cost: about 0.5 ms CPU per run.
    """
    program = Program.of(spec)
    kinds = {name: program.channels[name].type for name in (*spec.inputs, *spec.outputs)}
    taken = TypedDict("Inputs", {name: kinds[name] for name in spec.inputs}, total=False)  # type: ignore[misc]  # names are data
    result = TypedDict("Outputs", {name: kinds[name] for name in spec.outputs}, total=False)  # type: ignore[misc]
    state = TypedDict("State", kinds, total=False)  # type: ignore[misc]
    builder = StateGraph(state, context_schema=Deps, input_schema=taken, output_schema=result)
    builder.add_node(NODE, Flow(program), input_schema=taken)
    builder.add_edge(START, NODE)
    builder.add_edge(NODE, END)
    return cast("Compiled", builder.compile(allowing(checkpointer, kinds.values()), name=spec.name))


@dataclass(frozen=True)
class Flow(Runnable[Mapping[str, Any], dict[str, Any]]):
    """The one node: the whole flow, with events going to LangGraph's custom stream and to `deps.listen`."""

    program: Program

    def invoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:  # noqa: A002
        """Run to the end in an event loop of its own."""
        return asyncio.run(self.ainvoke(input, config))

    async def ainvoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:  # noqa: A002
        """Run to the end.

        Raises:
            RunError: No deps were passed, or the run failed.
        """
        deps, info = given()
        deps = deps.but(run=deps.run or run_id(info))
        return await with_answers(lambda: execute(self.program, input, deps, through=(GraphBubbleUp,)), deps, info)


MOST_WAITING = 1000
"""Events that wait for who listens, before pieces of a text are joined."""


class Backlog:
    """Events that nobody has taken yet. A run does not wait for who listens slowly.

    Beyond `MOST_WAITING` the pieces of a text are joined, so that it grows with the steps of the run and the length of its
    texts only, both of which the graph bounds.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._texts: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event) -> None:
        """Put an event behind the others."""
        if not isinstance(event, Token):
            if self._texts:
                self._texts.clear()  # what is told after a step's end must not be told before it
            self._events.append(event)
            return
        at = self._texts.get((event.step, event.channel))
        if at is not None and len(self._events) >= MOST_WAITING:
            known = self._events[at]
            self._events[at] = replace(event, text=known.text + event.text)  # type: ignore[union-attr]  # it is a Token
            return
        self._texts[event.step, event.channel] = len(self._events)
        self._events.append(event)

    def taken(self) -> list[Event]:
        """All that wait, oldest first; none waits then."""
        events, self._events = self._events, []
        self._texts.clear()
        return events


async def stream_run(compiled: Compiled, spec: GraphSpec, inputs: Mapping[str, Any], deps: Deps) -> AsyncGenerator[Event, None]:
    """Run a compiled graph and yield its events, `RunFinished` last. Closing the iterator cancels the run.

    Raises:
        InputError: An input is missing, unknown or of the wrong type.
        RunError: The run failed.
    """
    wanted = checked_inputs(spec, inputs)  # here too: LangGraph drops names that it does not know
    loop = asyncio.get_running_loop()
    told = Backlog()
    news = loop.create_future()

    def wake(*_: object) -> None:
        if not news.done():
            news.set_result(None)

    def listen(event: Event) -> None:
        told.add(event)
        wake()
        deps.listen(event)

    run = asyncio.create_task(compiled.ainvoke(wanted, context=deps.but(listen=listen)))
    run.add_done_callback(wake)
    try:
        while told or not run.done():
            if not told:
                news = loop.create_future()
                await news
            for event in told.taken():
                yield event
        await run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
