"""What a step of a graph costs around its node: ours beside LangGraph and plain asyncio, in one run.

15 nodes that only write a channel, one after the other. Bar: at most 60 us of processor per node, events on and the
LangGraph boundary included. Also: what a condition costs, and loading a graph of 60 steps (bar: 150 ms).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

from typing_extensions import TypedDict

from agentrag.core.channels import STANDARD, State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, node
from agentrag.core.types import Passage
from agentrag.graph.compile import compile_graph, stream_run
from agentrag.graph.expressions import compile_expression
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.testing.fakes import fake_deps

os.environ.setdefault("LANGSMITH_TRACING", "false")

NODES, RUNS, ROUNDS = 15, 200, 5
STATE = {"question": "Why?"}


@node("benchmark.note")
class Note(Node):
    """Writes `answer` and does nothing else."""

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"answer": state["question"]}


class Plain(TypedDict, total=False):
    """State of the LangGraph graphs."""

    question: str
    answer: str


async def note(state: Any) -> Any:
    """What `Note` does, as a function."""
    return {"answer": state["question"]}


async def plain(state: Any) -> Any:
    """The floor: the functions awaited one after the other."""
    for _ in range(NODES):
        state = {**state, **await note(state)}
    return state


def text(steps: int) -> str:
    """A graph of so many steps, a choice at every fourth."""
    nodes = "".join(f"  n{number}: {{use: benchmark.note}}\n" for number in range(steps))
    flow = "".join(
        f"  - choose: [{{when: \"answer != '{number}'\", do: [n{number}]}}, {{otherwise: []}}]\n"
        if number % 4 == 3 and steps > NODES
        else f"  - n{number}\n"
        for number in range(steps)
    )
    return f"agentrag: 1\nname: bench\ninputs: {{question: str}}\noutputs: [answer]\nnodes:\n{nodes}flow:\n{flow}"


def langgraphs() -> tuple[Any, Any]:
    """A LangGraph graph of one node that does everything, and one of a node per step."""
    from langgraph.graph import END, START, StateGraph

    one = StateGraph(Plain).add_node("all", plain).add_edge(START, "all").add_edge("all", END).compile()
    many = StateGraph(Plain).add_sequence([(f"n{number}", note) for number in range(NODES)]).add_edge(START, "n0").compile()
    return one, many


def ways() -> dict[str, Callable[[], Awaitable[object]]]:
    """All ways of running the 15 nodes."""
    spec = load_graph_text(text(NODES), "bench.yaml")
    program, compiled, deps = Program.of(spec), compile_graph(spec), fake_deps()
    one, many = langgraphs()

    async def streamed() -> None:
        async for _ in stream_run(compiled, spec, STATE, deps):
            pass

    return {
        "plain asyncio": lambda: plain(STATE),
        "our interpreter alone": lambda: execute(program, STATE, deps),
        "LangGraph, one node for all": lambda: one.ainvoke(STATE),
        "ours in LangGraph, awaited": lambda: compiled.ainvoke(STATE, context=deps),
        "ours in LangGraph, events streamed": streamed,
        "LangGraph, a node per step": lambda: many.ainvoke(STATE),
    }


async def measured() -> dict[str, float]:
    """Microseconds of processor per node: medians over rounds that take turns, so that all see the same machine."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, run in ways().items():
            await run()
            begun = process_time()
            for _ in range(RUNS):
                await run()
            found.setdefault(name, []).append((process_time() - begun) / RUNS / NODES * 1e6)
    return {name: median(values) for name, values in found.items()}


def condition_cost(passages: int) -> float:
    """Microseconds of one evaluation that looks at every passage."""
    expression = compile_expression("passages.exists(p, p.score > 2.0)", STANDARD)
    state = {"passages": [Passage(str(number), "text " * 160, "source", score=0.5) for number in range(passages)]}
    begun = process_time()
    for _ in range(500):
        expression(state)
    return (process_time() - begun) / 500 * 1e6


def loading(steps: int) -> float:
    """Milliseconds of loading and checking a graph, best of 5."""
    source, times = text(steps), []
    for _ in range(5):
        begun = perf_counter()
        load_graph_text(source, "bench.yaml")
        times.append(perf_counter() - begun)
    return min(times) * 1e3


def main() -> None:
    """Print the table."""
    found = asyncio.run(measured())
    floor, boundary = found["plain asyncio"], found["LangGraph, one node for all"]
    print(f"{'us of processor per node':38}{'us':>9}{'x plain':>10}{'x one-node LangGraph':>23}")
    for name, value in found.items():
        print(f"{name:38}{value:9.1f}{value / floor:10.0f}{value / boundary:23.2f}")
    print(f"\na condition over 5 passages {condition_cost(5):.0f} us, over 50 passages {condition_cost(50):.0f} us")
    print(f"loading and checking a graph of 60 steps {loading(60):.0f} ms")


if __name__ == "__main__":
    main()
