"""A file with wrong parts made whole enough for the other checks, so that all errors are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from agentrag.graph.checks.view import Doubts
from agentrag.graph.spec import LANGUAGE, GraphSpec

_PLACEHOLDERS: Mapping[str, Any] = {"agentrag": LANGUAGE, "name": "unnamed", "about": "", "source": ""}
_DOUBTED = {"inputs": "channels", "channels": "channels", "models": "slots", "nodes": "nodes"}
_NO_STEP: Mapping[str, Any] = {"choose": [{"otherwise": []}]}


def mended(data: Mapping[str, Any], error: ValidationError, doubts: Doubts) -> tuple[GraphSpec, Doubts] | None:
    """Leave out what pydantic refused, and say what is in doubt because of it; None where nothing useful is left."""
    rest = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    for item in error.errors(include_url=False):
        doubts = _without(rest, item["loc"], item["type"], doubts)
    try:
        return GraphSpec.model_validate(rest), doubts
    except ValidationError:
        return None


def _without(rest: dict[str, Any], loc: tuple[int | str, ...], kind: str, doubts: Doubts) -> Doubts:
    part = str(loc[0])
    if kind == "extra_forbidden" and len(loc) == 1:
        rest.pop(part)
    elif part in _PLACEHOLDERS:
        rest[part] = _PLACEHOLDERS[part]
    elif part in ("budget", "degrade"):
        rest.pop(part, None)
    elif part in _DOUBTED:
        return _without_name(rest, part, loc[1] if len(loc) > 1 else None, doubts)
    elif part == "flow" and len(loc) > 1 and isinstance(loc[1], int):
        rest[part] = [*rest[part]]
        rest[part][loc[1]] = _NO_STEP  # keeps the place of the steps that follow
        return replace(doubts, flow=True)
    elif part in ("flow", "outputs"):
        rest[part] = []
        return replace(doubts, flow=True)
    return doubts


def _without_name(rest: dict[str, Any], part: str, name: Any, doubts: Doubts) -> Doubts:
    if name is None or not isinstance(rest.get(part), dict):
        rest[part] = {}
        return replace(doubts, flow=True)
    rest[part].pop(name, None)
    kind = _DOUBTED[part]
    return replace(doubts, **{kind: getattr(doubts, kind) | {str(name)}})
