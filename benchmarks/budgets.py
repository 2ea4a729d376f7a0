"""What keeping a budget costs: 9 nodes that do nothing, without one, with limits, and with limits and a ladder of three rungs.

Nodes that do nothing are the worst case. Before each of them the flow holds what is left against what comes next. Bar: a node
costs at most 0.1 ms more under a budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agentrag.core.deps import Origin
from agentrag.graph.flow.program import Program
from agentrag.graph.interpreter import execute
from agentrag.graph.spec import GraphSpec
from agentrag.testing.fakes import fake_deps
from benchmarks.clock import cpu_per_run, verdict
from benchmarks.ours import NOTE, graph_of, loop_text
from benchmarks.peers.work import QUESTION, Run

NODES, RUNS, ROUNDS = 9, 100, 9
WITHOUT, LIMITS, LADDER = "no budget", "with limits", "with limits and a ladder"
BAR = 100.0
"""Microseconds that a node may cost more."""
GIVEN = {"calls": 1000, "tokens": 100_000, "seconds": 600.0}


def ways() -> dict[str, Run]:
    """The same run, paid in each way."""
    spec = graph_of(loop_text([f"use: {NOTE}"] * NODES, 1)).spec
    first = next(iter(spec.nodes))
    rungs = [{"set": {f"{first}.timeout": seconds}} for seconds in (300, 200, 100)]
    data = {name: getattr(spec, name) for name in type(spec).model_fields}
    specs = {WITHOUT: spec, LIMITS: spec, LADDER: GraphSpec.model_validate({**data, "degrade": rungs})}

    def way(name: str) -> Run:
        program = Program.of(specs[name])
        deps = fake_deps().but(origin=Origin(options={} if name == WITHOUT else {"budget": GIVEN}))

        async def run() -> object:
            return await execute(program, {"question": QUESTION}, deps)

        return run

    return {name: way(name) for name in specs}


def report(found: Mapping[str, float]) -> str:
    """The table of what was measured."""
    lines = [f"{f'{NODES} nodes, nothing in them':28}{'us/run':>9}{'us/node':>9}{'x without':>11}"]
    lines += [f"{name:28}{value:9.0f}{value / NODES:9.1f}{value / found[WITHOUT]:11.2f}" for name, value in found.items()]
    more = {name: (value - found[WITHOUT]) / NODES for name, value in found.items() if name != WITHOUT}
    return "\n".join([*lines, *(verdict(name, value, BAR, "us more a node") for name, value in more.items())])


def main() -> None:
    """Print the table."""
    print(report(asyncio.run(cpu_per_run(ways(), RUNS, ROUNDS))))


if __name__ == "__main__":
    main()
