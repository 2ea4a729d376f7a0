"""What can be wrong with a budget's ladder: rungs that name what is not there, or that make a wrong graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pydantic import ValidationError

from agentrag.core.errors import unknown
from agentrag.core.located import Nowhere, validation_problems
from agentrag.core.node import Node
from agentrag.graph.channels import Finding, Path
from agentrag.graph.checks.view import Graph
from agentrag.graph.ladder import FinishRung, RebindRung, SetRung
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import Repeat, walk
from agentrag.graph.variants import degraded, with_setting


def ladder(graph: Graph) -> Iterator[Finding]:
    """Yield what is wrong with the rungs, each for itself."""
    if "budget" in graph.channels and "budget" not in graph.spec.inputs:
        place = ("channels", "budget") if "budget" in graph.spec.channels else ("nodes",)
        yield Finding(place, "'budget' means the budget of the run in expressions; give the channel another name", key=True)
    for index, rung in enumerate(graph.spec.degrade):
        path: Path = ("degrade", index)
        if isinstance(rung, SetRung):
            for name, value in rung.set.items():
                yield from _setting(graph, name, value, (*path, "set", name))
        elif isinstance(rung, RebindRung):
            for slot in rung.rebind:
                if slot not in graph.spec.slots and not (slot in graph.doubts.slots or graph.doubts.graphs):
                    yield Finding((*path, "rebind", slot), unknown("model slot", slot, graph.spec.slots), key=True)
        elif isinstance(rung, FinishRung) and not (_has_loop(graph.spec) or graph.doubts.flow or graph.doubts.graphs):
            yield Finding((*path, "finish"), "the flow has no loop that could be ended")


def _setting(graph: Graph, name: str, value: object, path: Path) -> Iterator[Finding]:
    node, _, setting = name.partition(".")
    if node in graph.doubts.nodes:
        return
    if node not in graph.spec.nodes:
        yield Finding(path, unknown("node", node, graph.spec.nodes), key=True)
        return
    item = graph.spec.nodes[node]
    try:
        changed = with_setting(item, setting, value)
    except ValidationError as error:
        for problem in validation_problems(error, Nowhere("", None, None), (), list(type(item).model_fields)):
            yield Finding(path, problem.message, key=problem.message.startswith("Unknown"))
        return
    if _writes(changed) != _writes(item):
        yield Finding(path, f"another '{setting}' changes which channels node '{node}' writes; a rung cannot do that")


def _writes(item: Node) -> tuple[frozenset[str], dict[str, str]]:
    return item.writes(), dict(item.out)


def _has_loop(spec: GraphSpec) -> bool:
    own = any(isinstance(step, Repeat) for _, step in walk(spec.flow))
    return own or any(map(_has_loop, spec.graphs.values()))


def variants(spec: GraphSpec, findings: Callable[[GraphSpec], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what is wrong with the graph after each rung. The graph and its rungs must be right otherwise."""
    for index, rung in enumerate(spec.degrade):
        if isinstance(rung, SetRung):
            for found in findings(degraded(spec, spec.degrade[: index + 1])):
                where = ".".join(map(str, found.path))
                yield Finding(("degrade", index), f"makes a wrong graph: {where}: {found.message}")
