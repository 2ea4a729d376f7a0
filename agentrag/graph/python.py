"""Graphs described in Python: the same GraphSpec as from YAML, with the same checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError
from agentrag.core.located import Located, validation_problems
from agentrag.core.node import Node
from agentrag.core.prompts import Prompts
from agentrag.graph.checks import findings
from agentrag.graph.spec import LANGUAGE, Choose, GraphSpec, Otherwise, When, known_keys

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
    try:
        spec = GraphSpec.model_validate({"agentrag": LANGUAGE, **header, **parts, "prompts": prompts})
    except ValidationError as error:
        nowhere = Located(name, None, None)
        problems = validation_problems(error, nowhere, known=known_keys)
        raise SpecError([Problem(name, 0, 0, problem.path, problem.message) for problem in problems]) from error
    if found := findings(spec):
        raise SpecError([Problem(name, 0, 0, ".".join(map(str, item.path)), item.message) for item in found])
    return spec
