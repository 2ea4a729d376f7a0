"""Whether the right questions are refused: those that the corpus cannot answer, and no others."""

from __future__ import annotations

from collections.abc import Sequence

from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.statistics.intervals import Share


def abstention_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Share]]:
    """What each question adds to the metrics of refusals, of something that answers.

    abstention_precision and abstention_recall apply where questions were asked that the corpus cannot answer. A question
    that failed was not refused: it counts against abstention_recall, and says nothing about wrongly_refused, of which 0 is
    the best value.
    """
    refused = {outcome.query.id: float(bool(outcome.answered and outcome.answered.abstained)) for outcome in outcomes}
    unanswerable = {outcome.query.id for outcome in outcomes if not outcome.query.gold.answerable}
    there = [outcome.query.id for outcome in outcomes if outcome.answered and outcome.query.gold.answerable]
    wrongly = {"wrongly_refused": {id_: Share(refused[id_]) for id_ in there}}
    if not unanswerable:
        return wrongly
    precision = {id_: Share(no * (id_ in unanswerable), no) for id_, no in refused.items()}
    recall = {id_: Share(no) for id_, no in refused.items() if id_ in unanswerable}
    return {"abstention_precision": precision, "abstention_recall": recall, **wrongly}
