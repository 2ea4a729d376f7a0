"""Judgements of relevance: tab-separated lines under a header line, query id, document id, whole score."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentrag.core.errors import DataSetError

Judgements = Mapping[str, Mapping[str, int]]
"""Judged score by query and document; above 0 is relevant, unlisted counts as 0."""


def judgements(path: Path) -> dict[str, dict[str, int]]:
    """Read a file of judgements; scores may be graded, and negative ones mean "not relevant".

    Raises:
        DataSetError: A line is wrong, or judges a document twice for a query.
    """
    judged: dict[str, dict[str, int]] = {}
    for number, row in _rows(path):
        query, document, score = _judgement(f"{path}:{number}", row)
        if document in judged.setdefault(query, {}):
            raise DataSetError(f"{path}:{number}: judges document '{document}' twice for query '{query}'.")
        judged[query][document] = score
    return judged


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every line after the header that is not blank."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
                if number > 1 and row:
                    yield number, row
                elif row and row[-1].lstrip("-").isdigit():
                    raise DataSetError(f"{path}:1: should be a header line, and looks like a judgement: {row}.")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path} cannot be read: {error}") from error


def _judgement(place: str, row: list[str]) -> tuple[str, str, int]:
    try:
        query, document, score = row
        return query, document, int(score)
    except ValueError as error:
        raise DataSetError(f"{place}: should be query-id, doc-id and a whole score with tabs between, is {row}.") from error
