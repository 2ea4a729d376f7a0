"""What is worked out of a graph once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import finalize

from agentrag.graph.spec import GraphSpec

P = ParamSpec("P")
T = TypeVar("T")


def once_a_graph(function: Callable[Concatenate[GraphSpec, P], T]) -> Callable[Concatenate[GraphSpec, P], T]:
    """Keep what a function gives for a graph and further hashable arguments, as long as the graph lives.

    Graphs are frozen, so one object stays the same graph; they have no hash, so it is known by its identity.
    """
    kept: dict[int, dict[Hashable, T]] = {}

    @wraps(function)
    def remembered(spec: GraphSpec, /, *arguments: P.args, **named: P.kwargs) -> T:
        of_graph = kept.get(id(spec))
        if of_graph is None:
            of_graph = kept[id(spec)] = {}
            finalize(spec, kept.pop, id(spec), None)
        key: Any = (arguments, tuple(named.items()))
        if key not in of_graph:
            of_graph[key] = function(spec, *arguments, **named)
        return of_graph[key]

    return remembered
