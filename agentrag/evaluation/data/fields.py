"""Fields of a data set's queries as inputs of a graph, never those that hold the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentrag.core.errors import DataSetError, unknown
from agentrag.evaluation.data.dataset import Query
from agentrag.evaluation.scoring.answers import normal

GOLD = frozenset({"answers", "evidences", "calls", "steps", "long_answer", "doc", "facts", "qrels"})
"""Fields that hold what a query is judged by, or how its answer is found."""


def fed(queries: Sequence[Query], fields: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """By query id, what fills inputs of a graph.

    Args:
        queries: All that will be asked.
        fields: By input, the field of the queries.

    Raises:
        DataSetError: A field holds the answers, by its name or by what it says, or no query has it.
    """
    for field in fields.values():
        _refuse_gold(field, queries)
    given: dict[str, dict[str, Any]] = {query.id: {} for query in queries}
    for query in queries:
        for name, field in fields.items():
            if field not in query.gold.fields:
                raise DataSetError(f"Query '{query.id}' has no field '{field}' for input '{name}'.")
            given[query.id][name] = query.gold.fields[field]
    return given


def refuse_gold_inputs(name: str, required: Sequence[str], queries: Sequence[Query]) -> None:
    """Refuse a graph that needs as an input what a data set holds as gold.

    Raises:
        DataSetError: It does.
    """
    held = {field for query in queries for field in query.gold.fields} | {"answers"}
    if asked := sorted(GOLD & held & set(required)):
        raise DataSetError(f"Graph '{name}' asks for '{asked[0]}', where the data set holds its answers: no graph gets that.")


def _refuse_gold(field: str, queries: Sequence[Query]) -> None:
    if field in GOLD:
        raise DataSetError(f"Field '{field}' holds what the answers are judged by: no graph gets it.")
    if not any(field in query.gold.fields for query in queries):
        raise DataSetError(unknown("field", field, {name for query in queries for name in query.gold.fields} - GOLD))
    judged = [query for query in queries if query.gold.answers]
    telling = [query for query in judged if _says(query.gold.fields.get(field), query.gold.answers)]
    if judged and 2 * len(telling) > len(judged):
        what = f"in {len(telling)} of {len(judged)} queries it is one of the accepted answers"
        raise DataSetError(f"Field '{field}' holds the answers ({what}): no graph gets it.")


def _says(value: Any, answers: Sequence[str]) -> bool:
    return isinstance(value, str) and normal(value) in map(normal, answers)
