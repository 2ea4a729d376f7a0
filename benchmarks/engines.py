"""What an engine costs around a node: ours beside LangGraph, Haystack, pydantic-graph, LlamaIndex and plain asyncio.

5 nodes that do nothing in a loop of 3 rounds. Bar: at most 60 us of processor per node, every event heard and the LangGraph
boundary included.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from agentrag.core.deps import Deps
from agentrag.graph.flow.program import Program
from agentrag.graph.interpreter import execute
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import fake_deps
from benchmarks.clock import cpu_per_run, tell_missing, verdict
from benchmarks.ours import NOTE, graph_of, loop_text, streamed
from benchmarks.peers import Engines, open_peers, plain
from benchmarks.peers.langgraph_nodes import bare_run_of
from benchmarks.peers.work import QUESTION, Run, Work, nothing

WORK = Work(nodes=5, rounds=3, body=nothing)
RUNS, ROUNDS = 100, 9
BAR = 60.0
PLAIN, BOUNDARY, OURS = "plain asyncio", "plain asyncio in one LangGraph node", "agentrag, events streamed"


def own_ways() -> dict[str, Run]:
    """Our ways of running the loop, the barest first."""
    graph, deps = graph_of(loop_text([f"use: {NOTE}"] * WORK.nodes, WORK.rounds)), fake_deps()
    program, compiled = Program.of(graph.spec), graph.to_langgraph()

    def fresh() -> Deps:
        return replace(deps, run="", journal=MemoryJournal())

    async def alone() -> object:
        return (await execute(program, {"question": QUESTION}, fresh()))["answer"]

    async def awaited() -> object:
        return (await compiled.ainvoke({"question": QUESTION}, context=fresh()))["answer"]

    return {"agentrag, interpreter alone": alone, "agentrag in LangGraph, awaited": awaited, OURS: streamed(graph, deps)}


def engines() -> Engines:
    """All ways of running the loop."""
    peers = open_peers(WORK)
    floor = {PLAIN: plain.run_of(WORK), BOUNDARY: bare_run_of(WORK)}
    return Engines({**floor, **own_ways(), **peers.runs}, peers.missing)


async def measured(runs: int, rounds: int) -> dict[str, float]:
    """Microseconds of processor per node, by way."""
    return {name: value / WORK.steps for name, value in (await cpu_per_run(engines().runs, runs, rounds)).items()}


def report(found: dict[str, float]) -> str:
    """The table of what was measured."""
    lines = [f"{'5 nodes x 3 rounds, nothing in them':38}{'us/node':>9}{'x plain':>9}{'x ours':>8}{'ms/run':>8}"]
    for name, value in found.items():
        ratios = f"{value / found[PLAIN]:9.0f}{value / found[OURS]:8.2f}"
        lines.append(f"{name:38}{value:9.1f}{ratios}{value * WORK.steps / 1e3:8.2f}")
    return "\n".join([*lines, verdict("a node, events streamed", found[OURS], BAR, "us")])


def main() -> None:
    """Print the table."""
    tell_missing(engines().missing)
    print(report(asyncio.run(measured(RUNS, ROUNDS))))


if __name__ == "__main__":
    main()
