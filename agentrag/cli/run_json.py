"""Recorded runs as JSON data, without credentials."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agentrag.core.redact import redacted

if TYPE_CHECKING:
    from agentrag.graph.recorded.tree import TreeStep
    from agentrag.journal.past import PastRun
    from agentrag.runs import Shown

_RECORD = ("run", "graph", "ref", "tenant", "parent", "cut", "inputs", "options")
_STEP = ("path", "kind", "name", "number", "node", "outcome", "reason", "seconds", "told", "retried")


def run_as_json(past: PastRun) -> dict[str, Any]:
    """How a run was begun, how it ended and what it cost, without its steps and outputs."""
    begun = {name: getattr(past.record, name) for name in _RECORD}
    ended = None if past.ended is None else past.ended.isoformat()
    stands = {"status": past.status, "started": past.started.isoformat(), "ended": ended, "seconds": past.seconds}
    cost = {"usage": asdict(past.usage), "saved": asdict(past.saved)}
    return {**redacted(begun), **stands, "error": redacted(past.error), **cost}


def shown_as_json(shown: Shown) -> dict[str, Any]:
    """All of a run but the texts of its calls."""
    outputs = None if shown.run.outputs is None else json.loads(shown.run.outputs)
    nodes = {name: {"usage": asdict(usage), "saved": asdict(shown.saved[name])} for name, usage in shown.usage.items()}
    more = {"outputs": redacted(outputs), "in_doubt": dict(shown.in_doubt), "nodes": nodes}
    return {**run_as_json(shown.run), **more, "steps": [_step(step) for step in shown.steps]}


def _step(step: TreeStep) -> dict[str, Any]:
    """A step without what it has not."""
    told = {name: redacted(value) for name in _STEP if (value := getattr(step, name)) not in ("", {})}
    calls = [{**asdict(call), "at": call.at.isoformat(), "reused": call.reused} for call in step.calls]
    cost = {"usage": asdict(step.usage), "saved": asdict(step.saved)}
    return {**told, **cost, "calls": calls, "inside": [_step(inner) for inner in step.inside]}
