"""Merge rankings. Pure functions of ids and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Ranking = list[tuple[str, float]]
Scale = Literal["min-max", "z"]

RRF_K = 60.0
LEXICAL_WEIGHT = 0.5
"""Default weight of the lexical score in a convex fusion, chosen on the tune half of SQuAD; .4 to .6 differ by under .01."""


def rrf(rankings: Sequence[Sequence[str]], k: float = RRF_K) -> Ranking:
    """Fuse rankings by position alone: an id earns 1 / (k + position) from every list it is in, positions from 1.

    Args:
        rankings: R lists of ids, best first, of any lengths; none holds an id twice.
        k: > 0, in positions; the larger, the less the first places count. 60 comes from the paper.

    Returns:
        Each id once with its sum, in (0, R / (k + 1)], largest first, equal sums by id.

    Raises:
        ValueError: `k` is not positive, or a list names an id twice.
    Source: Cormack, Clarke, Buettcher: Reciprocal Rank Fusion, SIGIR 2009.

    >>> [id_ for id_, _ in rrf([["a", "b"], ["b", "c"]])]
    ['b', 'a', 'c']
    """
    if k <= 0:
        raise ValueError(f"k must be positive, not {k}")
    scores: dict[str, float] = {}
    for ranking in rankings:
        if len(set(ranking)) < len(ranking):
            raise ValueError("a ranking names an id twice")
        for position, id_ in enumerate(ranking, 1):
            scores[id_] = scores.get(id_, 0.0) + 1.0 / (k + position)
    return ordered(scores)


def convex(
    lexical: Mapping[str, float], dense: Mapping[str, float], weight: float = LEXICAL_WEIGHT, scale: Scale = "min-max"
) -> Ranking:
    """Fuse two sets of scores: weight x scaled lexical + (1 - weight) x scaled dense.

    Args:
        lexical: Scores by id, larger is better.
        dense: The same. Give both scores of every candidate; one that is missing counts as the lowest of its side.
        weight: Of the lexical side, 0..1.
        scale: "min-max" maps the scores of each side to 0..1; "z" to mean 0 and variance 1.

    Returns:
        Each id of either side once, best first, equal scores by id; in 0..1 under "min-max".

    Raises:
        ValueError: `weight` is outside 0..1.
    Source: Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, TOIS 2023.

    >>> convex({"a": 9.0, "b": 1.0}, {"a": 0.2, "b": 0.6}, weight=0.75)
    [('a', 0.75), ('b', 0.25)]
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight must be in 0..1, not {weight}")
    ids = sorted(lexical.keys() | dense.keys())
    left, right = (_scaled(side, ids, scale) for side in (lexical, dense))
    return ordered({id_: weight * a + (1.0 - weight) * b for id_, a, b in zip(ids, left, right, strict=True)})


def ordered(scores: Mapping[str, float]) -> Ranking:
    """Sort by score, best first, equal scores by id."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _scaled(side: Mapping[str, float], ids: Sequence[str], scale: Scale) -> list[float]:
    lowest = min(side.values(), default=0.0)
    values = [side.get(id_, lowest) for id_ in ids]
    spread = max(values, default=0.0) - lowest
    if not spread:
        return [0.0] * len(values)
    if scale == "min-max":
        return [(value - lowest) / spread for value in values]
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    return [(value - mean) / deviation for value in values]
