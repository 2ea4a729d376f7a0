"""Inputs of a graph from the texts of `-i NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrag.cli.console import fail
from agentrag.core.errors import InputError
from agentrag.graph.inputs import inputs_from_texts
from agentrag.graph.spec import GraphSpec


def typed(spec: GraphSpec, given: Mapping[str, str]) -> dict[str, Any]:
    """Read lists and conversations as JSON; other texts stay, for the run to convert and check.

    Raises:
        SystemExit: A list or conversation is not JSON (exit code 2).
    """
    try:
        return inputs_from_texts(spec, given)
    except InputError as error:
        raise fail(str(error), 2) from error
