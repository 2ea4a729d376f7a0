"""Recorded runs as JSON data, without credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agentrag.core.errors import Question, StoreError
from agentrag.core.redact import redacted

if TYPE_CHECKING:
    from agentrag.graph.recorded.economy import Economy
    from agentrag.graph.recorded.tree import TreeStep
    from agentrag.journal.past import PastRun
    from agentrag.runs import Shown

_RECORD = ("run", "graph", "ref", "tenant", "parent", "cut", "inputs", "options")
_STEP = ("path", "kind", "name", "number", "node", "outcome", "reason", "seconds", "told", "retried")


def run_as_json(past: PastRun, questions: Mapping[str, Question]) -> dict[str, Any]:
    """How a run was begun, what it waits for, how it ended and what it cost, without its steps and outputs."""
    begun = {name: getattr(past.record, name) for name in _RECORD}
    ended = None if past.ended is None else past.ended.isoformat()
    times = {"started": past.started.isoformat(), "ended": ended, "seconds": past.seconds}
    stands: dict[str, Any] = {"status": past.status, **times}
    cost = {"usage": asdict(past.usage), "saved": asdict(past.saved)}
    stands |= {"alive": past.alive, "damage": past.damage, "questions": questions_as_json(questions)}
    return {**redacted(begun), **stands, "error": redacted(past.error), **cost}


def questions_as_json(questions: Mapping[str, Question]) -> dict[str, Any]:
    """What is asked, and what an answer must be, by the step that asks."""
    return {
        step: {"question": redacted(asked.text), "choices": list(asked.choices), "schema": asked.schema, "bytes": asked.bytes}
        for step, asked in questions.items()
    }


def shown_as_json(shown: Shown) -> dict[str, Any]:
    """All of a run but the texts of its calls."""
    outputs = outputs_of(shown.run)
    nodes = {name: {"usage": asdict(usage), "saved": asdict(shown.saved[name])} for name, usage in shown.usage.items()}
    more = {"outputs": redacted(outputs), "in_doubt": dict(shown.in_doubt), "nodes": nodes}
    more |= economy_as_json(shown.economy)
    return {**run_as_json(shown.run, shown.questions), **more, "steps": [_step(step) for step in shown.steps]}


def economy_as_json(economy: Economy) -> dict[str, Any]:
    """What became of a budget; nothing where there was none."""
    if economy.budget is None and not economy.limited and not economy.degraded:
        return {}
    spending = None if economy.budget is None else asdict(economy.budget)
    if spending is not None and economy.budget is not None:
        for name in ("spent", "estimate_error"):
            spending[name] = {unit: _plain(unit, number) for unit, number in getattr(economy.budget, name).items()}
    told = {"limited": list(map(asdict, economy.limited)), "degraded": list(map(asdict, economy.degraded))}
    return {"best_effort": bool(economy.limited), **told, "budget": spending}


def _plain(unit: str, number: float) -> float:
    return number if unit in ("usd", "seconds") else round(number)


def outputs_of(past: PastRun) -> dict[str, Any] | None:
    """The outputs of a run as JSON data; None where it has none.

    Raises:
        StoreError: They are damaged.
    """
    if past.outputs is None:
        return None
    try:
        outputs: dict[str, Any] = json.loads(past.outputs)
        return dict(outputs)
    except (ValueError, TypeError) as error:
        raise StoreError(f"The recorded outputs of run {past.record.run} are damaged: {error}") from error


def _step(step: TreeStep) -> dict[str, Any]:
    """A step without what it has not."""
    told = {name: redacted(value) for name in _STEP if (value := getattr(step, name)) not in ("", {})}
    calls = [{**asdict(call), "at": call.at.isoformat(), "reused": call.reused} for call in step.calls]
    cost = {"usage": asdict(step.usage), "saved": asdict(step.saved)}
    return {**told, **cost, "calls": calls, "inside": [_step(inner) for inner in step.inside]}
