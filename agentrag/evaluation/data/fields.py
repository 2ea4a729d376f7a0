"""Fields of a data set's queries as inputs of a graph, never those that hold the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentrag.core.errors import DataSetError, unknown
from agentrag.evaluation.data.dataset import Query
from agentrag.evaluation.scoring.answers import contains, exact, labels

GOLD = frozenset({"answers", "evidences", "calls", "steps", "long_answer", "doc", "facts", "qrels", "answerability"})
"""Fields that hold what a query is judged by, or how its answer is found."""
_CHANCE = 0.1
"""Part of the queries in which a field may say the answer, as the name of a topic may."""


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
    for query in queries:
        if names := sorted(GOLD & _names(query.gold.fields.get(field))):
            raise DataSetError(f"Field '{field}' holds '{names[0]}', what the answers are judged by: no graph gets it.")
    telling = [query.id for query in queries if _tells(query.gold.fields.get(field), query)]
    if len(telling) > _CHANCE * len(queries):
        what = f"in {len(telling)} of {len(queries)} queries it says an accepted answer or a relevant document"
        raise DataSetError(f"Field '{field}' holds the answers ({what}): no graph gets it.")


def _tells(value: Any, query: Query) -> bool:
    """Whether a value says an accepted answer, or names a relevant document."""
    answers = query.gold.answers
    says = exact if labels(answers) else contains  # "no" stands in many a text
    relevant = {document for document, score in query.gold.relevant.items() if score > 0}
    return any(text in relevant or says(text, answers) for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, and its numbers as texts."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _names(value: Any) -> set[str]:
    """All names in a value, at any depth."""
    if isinstance(value, Mapping):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()
