"""Graphs with some parts in another way: settings of nodes, bindings of slots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agentrag.core.node import Node
from agentrag.graph.ladder import RebindRung, Rung, SetRung
from agentrag.graph.spec import GraphSpec


def with_setting(item: Node, name: str, value: Any) -> Node:
    """A node with another setting, made from what a file would say, so that the value is checked and converted as there.

    Raises:
        ValidationError: The setting is unknown, or the value is wrong.
    """
    return type(item).model_validate({**item.model_dump(exclude_unset=True, by_alias=True), name: value})


def degraded(spec: GraphSpec, rungs: Iterable[Rung]) -> GraphSpec:
    """A graph after these rungs of its ladder; the settings must be right."""
    nodes, models = dict(spec.nodes), dict(spec.models)
    for rung in rungs:
        if isinstance(rung, SetRung):
            for path, value in rung.set.items():
                name, _, setting = path.partition(".")
                nodes[name] = with_setting(nodes[name], setting, value)
        elif isinstance(rung, RebindRung):
            models |= rung.rebind
    return spec.model_copy(update={"nodes": nodes, "models": models, "degrade": ()})
