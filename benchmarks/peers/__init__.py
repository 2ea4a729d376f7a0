"""Other engines, each given the same work in the way its documentation shows. What is not installed is named, not missed.

`requirements-bench.lock` has them all: `uv pip install -r requirements-bench.lock`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from benchmarks.peers.work import Run, Work

# Before they are imported: nothing leaves the machine.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "false")
os.environ.setdefault("LANGSMITH_TRACING", "false")

PEERS: Mapping[str, str] = {
    "langgraph": "langgraph_nodes",
    "haystack-ai": "haystack_pipeline",
    "pydantic-graph": "pydantic_steps",
    "llama-index-workflows": "llama_workflow",
}
"""Modules of this package by the distribution that they need; each has `run_of(work)`."""


@dataclass(frozen=True)
class Engines:
    """Runs by the engine's name, and what is not installed."""

    runs: Mapping[str, Run]
    missing: tuple[str, ...]


def open_peers(work: Work, peers: Mapping[str, str] = PEERS) -> Engines:
    """Give the work to every peer that is installed."""
    runs: dict[str, Run] = {}
    missing = []
    for distribution, module in peers.items():
        try:
            name = f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            missing.append(distribution)
            continue
        runs[name] = import_module(f"{__name__}.{module}").run_of(work)
    return Engines(runs, tuple(missing))
