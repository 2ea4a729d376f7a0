"""Rankings that other tools wrote, in TREC's form: query, Q0, document, rank, score, run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentrag.core.errors import DataSetError
from agentrag.core.types import Passage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Query

_FIELDS = 6


def read_rankings(path: Path) -> dict[str, list[str]]:
    """Document ids by query, best first: by score, equal scores by id from Z to A, as trec_eval does; ranks are not read.

    Raises:
        DataSetError: A line is wrong, a score is not finite, a document is there twice for a query, or there is no line.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            query, document, score = _line(f"{path}:{number}", line)
            if document in scores.setdefault(query, {}):
                raise DataSetError(f"{path}:{number}: ranks document '{document}' twice for query '{query}'.")
            scores[query][document] = score
    if not scores:
        raise DataSetError(f"{path} is an empty run: it ranks nothing.")
    return {query: _ordered(found) for query, found in scores.items()}


def ranked_outcomes(rankings: Mapping[str, Sequence[str]], queries: Sequence[Query], path: Path) -> list[Outcome]:
    """The queries with what a ranking found for them; nothing where it does not name one.

    Raises:
        DataSetError: It names a query that is not among them.
    """
    if strangers := sorted(rankings.keys() - {query.id for query in queries}):
        raise DataSetError(f"{path}: ranks documents for query '{strangers[0]}', which the data set does not have.")
    return [Outcome(query, Answered(passages=_passages(rankings.get(query.id, ())))) for query in queries]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f"{path} cannot be read: {error}") from error


def _line(place: str, line: str) -> tuple[str, str, float]:
    parts = line.split()
    try:
        query, _, document, _, score, _ = parts
        number = float(score)
    except ValueError as error:
        what = f"should be {_FIELDS} fields: query, Q0, document, rank, score, run"
        raise DataSetError(f"{place}: {what}; is '{line.strip()[:80]}'.") from error
    if not math.isfinite(number):
        raise DataSetError(f"{place}: the score of document '{document}' is {score}, which has no place in an order.")
    return query, document, number


def _ordered(found: Mapping[str, float]) -> list[str]:
    by_id = sorted(found, reverse=True)
    return sorted(by_id, key=lambda document: -found[document])


def _passages(documents: Sequence[str]) -> tuple[Passage, ...]:
    return tuple(Passage(document, "", document, record=document) for document in documents)
