"""Graphs with some parts in another way: settings of nodes, bindings of slots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def with_inner(spec: GraphSpec) -> Iterator[GraphSpec]:
    """Yield a graph and those that it runs."""
    yield spec
    for inner in spec.graphs.values():
        yield from with_inner(inner)


def rebinds_of(spec: GraphSpec) -> list[str]:
    """Names of the bindings that rungs of a graph, and of those that it runs, may bind slots to; sorted."""
    rungs = [rung for each in with_inner(spec) for rung in each.degrade if isinstance(rung, RebindRung)]
    return sorted({name for rung in rungs for name in rung.rebind.values()})
