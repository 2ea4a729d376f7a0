"""The tune and the report half of a data set, and samples of them: by the sha256 of the id, so anyone draws the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from agentrag.evaluation.data.dataset import Query

Half = Literal["tune", "report"]


def digest(id: str) -> str:  # noqa: A002  # the word of the data format
    """Hex sha256 of an id."""
    return hashlib.sha256(id.encode()).hexdigest()


def half(id: str) -> Half:  # noqa: A002  # the word of the data format
    """The half that an id belongs to: "tune" where its digest is an even number.

    >>> half("a"), half("d")
    ('report', 'tune')
    """
    return "tune" if int(digest(id), 16) % 2 == 0 else "report"


def sample(queries: Iterable[Query], part: Half | Literal["all"] = "all", limit: int | None = None) -> list[Query]:
    """The first `limit` queries of a part by hex digest of their ids; all of it, in that order, without a limit."""
    chosen = [query for query in queries if part in ("all", half(query.id))]
    return sorted(chosen, key=lambda query: digest(query.id))[:limit]
