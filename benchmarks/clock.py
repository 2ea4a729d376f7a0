"""How the engine benchmarks take time: processor time, in rounds that take turns, so that all ways see the same machine."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from time import process_time

from benchmarks.peers.work import Run


@contextmanager
def settled_memory() -> Iterator[None]:
    """The garbage collector passes over what is loaded now: what one engine's imports left is no cost of another's runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def cpu_per_run(ways: Mapping[str, Run], runs: int, rounds: int) -> dict[str, float]:
    """Microseconds of processor per run of each way, threads included: medians over the rounds."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    with settled_memory():
        for _ in range(rounds):
            for name, run in ways.items():
                await run()
                begun = process_time()
                for _ in range(runs):
                    await run()
                found[name].append((process_time() - begun) / runs * 1e6)
    return {name: median(values) for name, values in found.items()}


def verdict(what: str, value: float, bar: float, unit: str) -> str:
    """One line that holds a value against its bar."""
    return f"{'met' if value <= bar else 'NOT met':8}{what}: {value:.3g} {unit}, bar {bar:.3g}"


def tell_missing(missing: Iterable[str]) -> None:
    """Say which peers were not measured."""
    if names := ", ".join(missing):
        print(f"not installed, so not measured: {names} (requirements-bench.lock has them)")
