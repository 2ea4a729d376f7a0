"""Inputs of a graph from the texts of `-i NAME=VALUE`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentrag.cli.console import fail
from agentrag.graph.spec import GraphSpec

_STRUCTURED = {"list[str]", "history", "object"}


def typed(spec: GraphSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Read lists and conversations as JSON; other texts stay, for the run to convert and check.

    Raises:
        SystemExit: A list or conversation is not JSON (exit code 2).
    """
    return {name: _read(spec, name, text) for name, text in given.items()}


def _read(spec: GraphSpec, name: str, text: str) -> Any:
    declared = spec.inputs.get(name)
    if declared is None or declared.type not in _STRUCTURED:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise fail(f"input '{name}' is a {declared.type}, written as JSON; '{text}' is not JSON: {error}", 2) from error
