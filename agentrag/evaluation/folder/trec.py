"""Rankings that other tools wrote, in TREC's form: query, Q0, document, rank, score, run."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from agentrag.core.errors import DataSetError
from agentrag.core.types import Passage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import DataSet

_FIELDS = 6


def read_rankings(path: Path) -> dict[str, list[str]]:
    """Document ids by query, best first, as trec_eval orders them: by score in single precision, equal ones by id from Z to A.

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


def ranked_outcomes(rankings: Mapping[str, Sequence[str]], data: DataSet, path: Path) -> list[Outcome]:
    """The queries that a ranking has, with what it found for them; others were not asked.

    Raises:
        DataSetError: It names a query or a document that the data set does not have.
    """
    queries, documents = list(data.queries()), {document["id"] for document in data.documents()}
    known = {query.id for query in queries}
    rankings = {_meant(query, known): found for query, found in rankings.items()}
    if strangers := sorted(rankings.keys() - known):
        raise DataSetError(f"{path}: ranks documents for query '{strangers[0]}', which the data set does not have.")
    rankings = {query: [_meant(document, documents) for document in found] for query, found in rankings.items()}
    for query, found in rankings.items():
        if strangers := [document for document in found if document not in documents]:
            raise DataSetError(f"{path}: ranks document '{strangers[0]}' for '{query}', which the data set does not have.")
    return [Outcome(query, Answered(passages=_passages(rankings[query.id]))) for query in queries if query.id in rankings]


def as_field(text: str) -> str:
    """A name as one field of a line: white space in it is percent-encoded, and an empty one is `%`.

    >>> as_field("Get Latest  Anime"), as_field("100%")
    ('Get%20Latest%20%20Anime', '100%')
    """
    return re.sub(r"\s", lambda match: quote(match[0]), text) or "%"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
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
    single = {document: np.float32(score) for document, score in found.items()}  # what trec_eval holds them in
    return sorted(by_id, key=lambda document: -single[document])


def _meant(name: str, known: Collection[str]) -> str:
    """The name as the data set has it, where it was encoded to be one field."""
    return unquote(name) if name not in known and unquote(name) in known else name


def _passages(documents: Sequence[str]) -> tuple[Passage, ...]:
    return tuple(Passage(document, "", document, record=document) for document in documents)
