"""One search in one collection: rank by vectors, by words or by both, then read the passages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentrag.core.errors import StoreError, unknown
from agentrag.core.ports import Vectors
from agentrag.core.types import Passage, SearchRequest
from agentrag.retrieval import fuse
from agentrag.retrieval.database import Database
from agentrag.retrieval.lexical_index import Lexical
from agentrag.retrieval.neighbours import widen
from agentrag.retrieval.passages import fetch, satisfying, vectors_of
from agentrag.retrieval.vector_index import VectorIndex

MODES = ("dense", "lexical", "rrf", "convex")
_LEAST_DEPTH, _FEW = 50, 1000


def check(request: SearchRequest) -> None:
    """Refuse a request that means nothing.

    Raises:
        StoreError: `mode`, `k`, `neighbours` or `weight` is out of range.
    """
    if request.mode not in MODES:
        raise StoreError(unknown("search mode", request.mode, MODES))
    if request.k < 1 or request.neighbours < 0:
        raise StoreError(f"A search takes k >= 1 and neighbours >= 0, not k={request.k}, neighbours={request.neighbours}.")
    if request.weight is not None and not 0.0 <= request.weight <= 1.0:
        raise StoreError(f"A search takes a weight in 0..1, not {request.weight}.")
    if request.depth is not None and request.depth < 1:
        raise StoreError(f"A search takes a depth >= 1, not {request.depth}.")


@dataclass
class Search:
    """Ranks the passages of a collection.

    Both sides of a fusion are searched to a depth of max(50, 4 k), where the request does not say another.
    """

    database: Database
    vectors: VectorIndex
    lexical: Lexical
    _last_where: tuple[str, frozenset[str]] | None = None

    def passages(self, request: SearchRequest, vector: Vectors | None) -> list[Passage]:
        """Return up to `request.k` passages, best first.

        Args:
            request: Checked.
            vector: The embedded query, shape (d,); None where the mode is "lexical".

        Raises:
            StoreError: An index cannot serve, or `request.where` is wrong.
        Cost: 3 ms at 20,000 passages, without `where`.
        """
        ranking = self._ranking(request, vector)
        rows = fetch(self.database, [id_ for id_, _ in ranking[: request.k]])
        # what was removed since the indexes last caught up is passed over
        hits = [(rows[id_], score) for id_, score in ranking[: request.k] if id_ in rows]
        if request.neighbours:
            return widen(self.database, hits, request.neighbours)
        return [row.passage(score, self.database.name) for row, score in hits]

    def _ranking(self, request: SearchRequest, vector: Vectors | None) -> fuse.Ranking:
        fused = request.mode in ("rrf", "convex")
        depth = (request.depth or max(_LEAST_DEPTH, 4 * request.k)) if fused else request.k
        allowed = self._allowed(request.where)
        dense = self._nearest(vector, depth, request, allowed) if vector is not None else []
        if request.mode == "dense":
            return dense
        lexical = self.lexical.ready().search(request.query, depth, allowed)
        if vector is None:
            return lexical
        if request.mode == "rrf":
            return fuse.rrf([[id_ for id_, _ in side] for side in (dense, lexical)])
        return self._convex(request, vector, dict(dense), dict(lexical))

    def _nearest(self, vector: Vectors, depth: int, request: SearchRequest, allowed: frozenset[str] | None) -> fuse.Ranking:
        store = self.vectors.ready()
        if allowed is None or len(allowed) > _FEW:
            return store.search(vector, depth, request.where)
        # comparing with each of a few is quicker than a graph that leads past everything else, and misses none
        cosines = {id_: round(float(other @ vector), 6) for id_, other in vectors_of(self.database, sorted(allowed)).items()}
        return fuse.ordered(cosines)[:depth]

    def _convex(
        self, request: SearchRequest, vector: Vectors, dense: dict[str, float], lexical: dict[str, float]
    ) -> fuse.Ranking:
        """Fuse over the union of both lists; each candidate gets both of its scores, whichever list it came from."""
        candidates = frozenset(dense.keys() | lexical.keys())
        known = dict(self.lexical.ready().search(request.query, len(candidates), candidates)) if candidates else {}
        words = {id_: known.get(id_, 0.0) for id_ in candidates}
        others = vectors_of(self.database, sorted(candidates - dense.keys()))
        cosines = dense | {id_: round(float(other @ vector), 6) for id_, other in others.items()}
        weight = fuse.LEXICAL_WEIGHT if request.weight is None else request.weight
        return fuse.convex(words, cosines, weight)

    def _allowed(self, where: Mapping[str, Any] | None) -> frozenset[str] | None:
        if not where:
            return None
        key = json.dumps([self.database.meta("content"), where], sort_keys=True, default=str)
        if self._last_where is None or self._last_where[0] != key:
            self._last_where = (key, satisfying(self.database, where))
        return self._last_where[1]
