"""From the parts of a graph, wherever they come from, to a checked GraphSpec or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError, UnknownNameError
from agentrag.core.located import Located, validation_problems
from agentrag.graph.checks.names import findings
from agentrag.graph.checks.view import Doubts
from agentrag.graph.mend import mended
from agentrag.graph.spec import GraphSpec, known_keys
from agentrag.graph.steps import SubGraph, walk

Resolve = Callable[[str], GraphSpec]
"""Finds and loads the graph that a `graph:` step names."""


def assembled(
    data: Mapping[str, Any], located: Located, problems: Sequence[Problem], doubts: Doubts, resolve: Resolve | None = None
) -> GraphSpec:
    """Validate and check a graph.

    Args:
        data: Fields of GraphSpec, with built nodes.
        located: Knows where they stand.
        problems: What is known to be wrong already.
        doubts: The parts that are missing from `data` because of that.
        resolve: Finds the graphs that steps name and `data` lacks; None where what it lacks is told in `problems`.

    Raises:
        SpecError: `problems`, and all others that were found.
    """
    found = list(problems)
    try:
        spec = GraphSpec.model_validate(data)
    except ValidationError as error:
        found += validation_problems(error, located, known=known_keys)
        repaired = mended(data, error, doubts)
        if repaired is None:
            raise SpecError(found) from error
        spec, doubts = repaired
    spec, doubts = _with_graphs(spec, located, resolve, found, doubts)
    found += [located.problem(each.path, each.message, key=each.key, offset=each.offset) for each in findings(spec, doubts)]
    if found:
        raise SpecError(found)
    return spec


def _with_graphs(
    spec: GraphSpec, located: Located, resolve: Resolve | None, found: list[Problem], doubts: Doubts
) -> tuple[GraphSpec, Doubts]:
    """The graph with those that its steps run."""
    graphs = dict(spec.graphs)
    wrong: set[str] = set()
    for path, step in walk(spec.flow):
        if not isinstance(step, SubGraph) or step.graph.use in graphs.keys() | wrong:
            continue
        place = (*path, "graph", "use")
        try:
            if resolve is not None:
                graphs[step.graph.use] = resolve(step.graph.use)
        except UnknownNameError as error:
            found.append(located.problem(place, str(error)))
        except SpecError as error:
            found.append(located.problem(place, f"graph '{step.graph.use}' is wrong: {_summary(error)}"))
        wrong |= {step.graph.use} - graphs.keys()
    if not graphs and not wrong:
        return spec, doubts
    return spec.model_copy(update={"graphs": graphs}), replace(doubts, graphs=frozenset(wrong))


def _summary(error: SpecError) -> str:
    more = len(error.problems) - 1
    return f"{error.problems[0]}" + (f" (and {more} more)" if more else "")
