"""How well a ranking finds what is relevant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from agentrag.core.types import Passage

if TYPE_CHECKING:
    from ir_measures import Measure

Judgements = Mapping[str, Mapping[str, int]]
Rankings = Mapping[str, Sequence[str]]


def documents(passages: Iterable[Passage]) -> list[str]:
    """The documents of passages, each at the rank of its best passage: corpus ids, or the source where there is none."""
    return list(dict.fromkeys(passage.record or passage.source for passage in passages))


def ndcg(rankings: Rankings, relevant: Judgements, k: int = 10) -> dict[str, float]:
    """nDCG@k in 0..1 by query, with linear gains as trec_eval counts them.

    Args:
        rankings: Document ids by query, best first, an id at most once.
        relevant: Judged scores by query and document. Queries without a judgement are left out.
        k: Ranks that count, >= 1.
    """
    from ir_measures import nDCG  # lazy: loads compiled scorers

    return _scored(nDCG @ k, rankings, relevant)


def recall(rankings: Rankings, relevant: Judgements, k: int = 5) -> dict[str, float]:
    """Share of a query's relevant documents among the first k, by query; arguments as for `ndcg`."""
    from ir_measures import R  # lazy: loads compiled scorers

    return _scored(R @ k, rankings, relevant)


def sufficiency(rankings: Rankings, relevant: Judgements, k: int = 5) -> dict[str, float]:
    """1.0 where all relevant documents of a query are among the first k, else 0.0; arguments as for `ndcg`."""
    return {
        query: float(_golden(scores) <= set(rankings.get(query, ())[:k]))
        for query, scores in relevant.items()
        if _golden(scores)
    }


def _golden(scores: Mapping[str, int]) -> set[str]:
    return {document for document, score in scores.items() if score > 0}


def _scored(measure: Measure, rankings: Rankings, relevant: Judgements) -> dict[str, float]:
    from ir_measures import iter_calc  # lazy: loads compiled scorers

    # Scores fall with the rank, so that the scorer cannot reorder ties.
    run = {query: {document: -float(rank) for rank, document in enumerate(found)} for query, found in rankings.items()}
    judged = {query: dict(scores) for query, scores in relevant.items() if _golden(scores)}
    return {metric.query_id: float(metric.value) for metric in iter_calc([measure], judged, run)}
