"""500 runs at once that each await 50 ms nine times: ours beside other engines, in one process and in one run.

Bars: at most 1.25 times the wall time of 500 runs of one bare LangGraph node, at most a third of LangGraph with nine nodes,
at most 45 kB of memory per run. Memory is taken in a process for each engine.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from agentrag.testing.fakes import fake_deps
from benchmarks.clock import settled_memory, tell_missing, verdict
from benchmarks.ours import WAIT, graph_of, loop_text, streamed
from benchmarks.peers import Engines, open_peers, plain
from benchmarks.peers.langgraph_nodes import bare_run_of
from benchmarks.peers.work import Run, Work

AT_ONCE, TURNS = 500, 5
PAUSE, NODES = 0.050, 9
FLOOR = PAUSE * NODES
PLAIN, BARE, OURS = "plain asyncio", "plain asyncio in one LangGraph node", "agentrag, events streamed"
BARE_BAR, NODES_BAR, MEMORY_BAR = 1.25, 1 / 3, 45.0


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time and of processor of all runs together."""

    wall: float
    cpu: float


def engines(pause: float = PAUSE) -> Engines:
    """All ways of running nine nodes that wait."""

    async def wait() -> None:
        await asyncio.sleep(pause)

    work = Work(NODES, 1, wait)
    peers = open_peers(work)
    graph = graph_of(loop_text([f"use: {WAIT}, seconds: {pause}"] * NODES, 1))
    runs = {PLAIN: plain.run_of(work), BARE: bare_run_of(work), OURS: streamed(graph, fake_deps())}
    return Engines({**runs, **peers.runs}, peers.missing)


async def at_once(run: Run, count: int) -> Cost:
    """So many runs at once."""
    wall, cpu = perf_counter(), process_time()
    await asyncio.gather(*(run() for _ in range(count)))
    return Cost(perf_counter() - wall, process_time() - cpu)


async def measured(runs: Mapping[str, Run], count: int, turns: int) -> dict[str, Cost]:
    """Medians over turns."""
    found: dict[str, list[Cost]] = {name: [] for name in runs}
    for run in runs.values():
        await run()
    with settled_memory():
        for _ in range(turns):
            for name, run in runs.items():
                gc.collect()
                found[name].append(await at_once(run, count))
    return {
        name: Cost(median(each.wall for each in costs), median(each.cpu for each in costs)) for name, costs in found.items()
    }


async def memory_of(run: Run, count: int) -> float:
    """Kilobytes by which the process grows per run, at its most, while so many runs are under way."""
    await run()
    gc.collect()
    before = most = resident()
    runs = asyncio.gather(*(run() for _ in range(count)))
    while not runs.done():
        await asyncio.sleep(0.005)
        most = max(most, resident())
    await runs
    return (most - before) / count / 1e3


def resident() -> int:
    """Resident bytes of this process; 0 where the system does not say."""
    table = Path("/proc/self/statm")
    return int(table.read_text().split()[1]) * resource.getpagesize() if table.is_file() else 0


def memory_in_process(name: str, count: int) -> float:
    """`memory_of` a named engine, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.concurrency", name, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(found: Mapping[str, Cost], memory: Mapping[str, float], count: int) -> str:
    """The table of what was measured."""
    columns = f"{'wall s':>8}{'x one node':>12}{'CPU s':>8}{'CPU ms/run':>12}{'kB/run':>8}"
    lines = [f"{f'{count} runs at once, floor {FLOOR:.2f} s':38}{columns}"]
    for name, each in found.items():
        times = f"{each.wall:8.2f}{each.wall / found[BARE].wall:12.2f}{each.cpu:8.2f}{each.cpu / count * 1e3:12.2f}"
        lines.append(f"{name:38}{times}{memory[name]:8.1f}")
    return "\n".join([*lines, *verdicts(found, memory[OURS])])


def verdicts(found: Mapping[str, Cost], memory: float) -> list[str]:
    """How ours stands to the bars."""
    ours, bare = found[OURS], found[BARE]
    nodes = next(each for name, each in found.items() if name.startswith("langgraph "))
    return [
        verdict("wall time beside one bare LangGraph node", ours.wall / bare.wall, BARE_BAR, "x"),
        verdict("wall time beside nine LangGraph nodes", ours.wall / nodes.wall, NODES_BAR, "x"),
        verdict("processor time beside nine LangGraph nodes", ours.cpu / nodes.cpu, NODES_BAR, "x"),
        verdict("memory of a run", memory, MEMORY_BAR, "kB"),
    ]


def main() -> None:
    """Print the table; with the name of an engine and a count, only its memory."""
    if len(sys.argv) == 3:
        print(asyncio.run(memory_of(engines().runs[sys.argv[1]], int(sys.argv[2]))))
        return
    found = engines()
    tell_missing(found.missing)
    costs = asyncio.run(measured(found.runs, AT_ONCE, TURNS))
    print(report(costs, {name: memory_in_process(name, AT_ONCE) for name in found.runs}, AT_ONCE))


if __name__ == "__main__":
    main()
