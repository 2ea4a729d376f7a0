"""What a durable run costs: ours with its SQLite journal beside LangGraph with its AsyncSqliteSaver, in one run.

5 nodes in a loop of 3 rounds that do nothing, or each ask a model for 4 kB of text: 60 kB of new data a run. Bars: at most
160 us of processor per node, and at most 1.5 bytes in the file for each new byte. Both files are in WAL mode and are closed,
which writes the log back, inside the time that is taken; the sizes are those of the closed files.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from benchmarks.clock import settled_memory, tell_missing, verdict
from benchmarks.durable_ways import ANSWER, NODES, ROUNDS, durable_ways
from benchmarks.peers.work import Run

RUNS, TURNS = 60, 5
STEPS = NODES * ROUNDS
NEW_BYTES = STEPS * ANSWER
CPU_BAR, BYTES_BAR = 160.0, 1.5

Opened = Callable[[Path], AbstractAsyncContextManager[Run]]


@dataclass(frozen=True)
class Cost:
    """Of one run: microseconds of processor and of wall time, and bytes by which the file grew."""

    cpu: float
    wall: float
    bytes: float


async def cost(opened: Opened, path: Path, runs: int) -> Cost:
    """Run so many times, with the file opened before and closed at the end."""
    async with opened(path) as run:
        await run()  # makes tables, fills caches
    before = size_of(path)
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(opened(path))
        cpu, wall = process_time(), perf_counter()
        for _ in range(runs):
            await run()
        await stack.aclose()
        spent = process_time() - cpu, perf_counter() - wall
    return Cost(spent[0] / runs * 1e6, spent[1] / runs * 1e6, (size_of(path) - before) / runs)


def size_of(path: Path) -> int:
    """Bytes of a database with what lies beside it; 0 where there is none."""
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


async def measured(ways: Mapping[str, Opened], runs: int, turns: int) -> dict[str, Cost]:
    """Medians of the ways' costs, over turns."""
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder, settled_memory():
        for _ in range(turns):
            for number, (name, opened) in enumerate(ways.items()):
                found[name].append(await cost(opened, Path(folder) / f"{number}.sqlite", runs))
    return {
        name: Cost(*(median(getattr(each, field) for each in costs) for field in ("cpu", "wall", "bytes")))
        for name, costs in found.items()
    }


def report(found: Mapping[str, Cost]) -> str:
    """The table of what was measured."""
    lines = [f"{'5 nodes x 3 rounds':52}{'CPU us/node':>12}{'wall us/node':>13}{'file kB/run':>12}{'x new bytes':>12}"]
    for name, each in found.items():
        times = f"{each.cpu / STEPS:12.1f}{each.wall / STEPS:13.1f}"
        share = f"{each.bytes / NEW_BYTES:12.2f}" if "4 kB" in name else f"{'':12}"
        lines.append(f"{name:52}{times}{each.bytes / 1e3:12.1f}{share}")
    for name, each in found.items():
        if name.startswith("agentrag, journal"):
            lines.append(verdict(name, each.cpu / STEPS, CPU_BAR, "us"))
            lines += [verdict(name, each.bytes / NEW_BYTES, BYTES_BAR, "x")] if "4 kB" in name else []
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    ways, missing = durable_ways()
    tell_missing(missing)
    print(report(asyncio.run(measured(ways, RUNS, TURNS))))


if __name__ == "__main__":
    main()
