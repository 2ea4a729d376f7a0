"""From the parts of a graph, wherever they come from, to a checked GraphSpec or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError
from agentrag.core.located import Located, validation_problems
from agentrag.graph.checks import Doubts, findings
from agentrag.graph.mend import mended
from agentrag.graph.spec import GraphSpec, known_keys


def assembled(data: Mapping[str, Any], located: Located, problems: Sequence[Problem], doubts: Doubts) -> GraphSpec:
    """Validate and check a graph.

    Args:
        data: Fields of GraphSpec, with built nodes.
        located: Knows where they stand.
        problems: What is known to be wrong already.
        doubts: The parts that are missing from `data` because of that.

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
    found += [located.problem(each.path, each.message, key=each.key, offset=each.offset) for each in findings(spec, doubts)]
    if found:
        raise SpecError(found)
    return spec
