"""Graphs described in Python: the same GraphSpec as from YAML, with the same checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentrag.core.located import Nowhere
from agentrag.core.node import Node
from agentrag.core.prompts import Prompts
from agentrag.graph.assemble import assembled
from agentrag.graph.checks import Doubts
from agentrag.graph.spec import LANGUAGE, Choose, GraphSpec, Otherwise, When

FlowStep = str | Choose


def choose(conditions: Mapping[str, Sequence[FlowStep]], *, otherwise: Sequence[FlowStep]) -> Choose:
    """A step that takes the first branch whose condition is true.

    Args:
        conditions: Steps by condition (CEL over the graph's channels), in the order in which they are tried.
        otherwise: Steps when none is true; may be empty.

    >>> choose({"size(passages) == 0": ["refuse"]}, otherwise=["write", "cite"]).choose[0].when
    'size(passages) == 0'
    """
    branches = [When(when=when, do=tuple(steps)) for when, steps in conditions.items()]
    return Choose(choose=(*branches, Otherwise(otherwise=tuple(otherwise))))


def spec_from_python(
    header: Mapping[str, Any],
    nodes: Mapping[str, Node],
    flow: Sequence[FlowStep],
    models: Mapping[str, str],
    channels: Mapping[str, Any],
) -> GraphSpec:
    """Build and check a graph from its parts; `header` holds name, about, source, inputs and outputs.

    Prompts are looked for in `prompts/` of the working directory, then among the shipped ones.

    Raises:
        SpecError: The graph is wrong; `.problems` lists all that is, by path in the graph.
    """
    parts = {"nodes": dict(nodes), "flow": list(flow), "models": dict(models), "channels": dict(channels)}
    name = f"graph '{header.get('name')}'"
    folder = Path("prompts")
    prompts = Prompts(folder.resolve() if folder.is_dir() else None)
    return assembled({"agentrag": LANGUAGE, **header, **parts, "prompts": prompts}, Nowhere(name, None, None), (), Doubts())
