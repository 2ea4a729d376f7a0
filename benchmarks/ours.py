"""Our side of the engine benchmarks: node types, loops in YAML, and runs through the public API with every event heard."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agentrag.app import Graph
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.events import RunFinished
from agentrag.core.node import Node, node
from agentrag.core.ports import Journal
from agentrag.journal.memory import MemoryJournal
from benchmarks.peers.work import QUESTION, Run

NOTE, WAIT = "benchmark.note", "benchmark.wait"


class _Note(Node):
    """Writes the question to `answer`."""

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"answer": state["question"]}


@node(NOTE)
class Note(_Note):
    """Does nothing else."""


@node(WAIT)
class Wait(_Note):
    """Waits before."""

    seconds: float

    async def __call__(self, state: State, deps: Deps) -> State:
        await asyncio.sleep(self.seconds)
        return await super().__call__(state, deps)


def loop_text(node_settings: list[str], rounds: int, channels: str = "{}") -> str:
    """A graph of so many nodes, one after the other; a loop of them where there is more than one round."""
    names = [f"n{number}" for number in range(len(node_settings))]
    nodes = "".join(f"  {name}: {{{settings}}}\n" for name, settings in zip(names, node_settings, strict=True))
    steps = f"[{', '.join(names)}]"
    flow = steps if rounds == 1 else f"\n  - repeat: {{do: {steps}, at_most: {rounds}}}"
    head = f"agentrag: 1\nname: loop\ninputs: {{question: str}}\noutputs: [answer]\nchannels: {channels}\n"
    return f"{head}nodes:\n{nodes}flow: {flow}\n"


def graph_of(text: str) -> Graph:
    """Load a graph from its text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.yaml"
        path.write_text(text, encoding="utf-8")
        return Graph.load(str(path))


def streamed(graph: Graph, deps: Deps, journal: Callable[[], Journal] = MemoryJournal) -> Run:
    """Run a graph and take every event as it comes. `journal` gives each run the journal that it writes to."""

    async def run() -> object:
        answer: object = None
        async for event in graph.stream(replace(deps, run="", journal=journal()), question=QUESTION):
            if isinstance(event, RunFinished):
                answer = event.outputs["answer"]
        return answer

    return run
