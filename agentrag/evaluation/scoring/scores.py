"""From outcomes to metrics: a number per question, then a mean with its interval."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.scoring import answers, ranking
from agentrag.evaluation.statistics.intervals import SEED, Interval, interval

Scores = Mapping[str, Mapping[str, float]]
"""Metric, then question id, then value."""

_MARK = re.compile(r"\s*\[(?:\?|\d+(?:,\s*\d+)*)\]")
_ANSWERS: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    "em": answers.exact,
    "f1": answers.f1,
    "contains": answers.contains,
}


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation.

    Attributes:
        metrics: Mean and 95 % interval of each metric that applies.
        n: Questions asked.
        failed: Why a question has no answer, by id. It counts as 0 in every metric.
        usage: What was paid, by node.
    """

    metrics: Mapping[str, Interval]
    n: int
    failed: Mapping[str, str]
    usage: Mapping[str, Usage]


def score(outcomes: Sequence[Outcome]) -> Scores:
    """Every metric that applies, by question.

    em, f1 and contains apply to what answers, over the questions with golden answers; ndcg@10, recall@5 and
    sufficiency@5 to what retrieves, over the questions with judged documents.
    Marks of citations are no part of an answer, and a refusal scores 0 whatever its words.
    """
    return {name: values for name, values in (_answer_scores(outcomes) | _ranking_scores(outcomes)).items() if values}


def summarise(outcomes: Sequence[Outcome], seed: int = SEED) -> Summary:
    """Means, intervals, failures and costs of an evaluation; `seed` is that of the resampling."""
    return Summary(
        metrics={name: interval(list(values.values()), seed) for name, values in score(outcomes).items()},
        n=len(outcomes),
        failed={outcome.query.id: outcome.error for outcome in outcomes if outcome.answered is None},
        usage=total(outcome.answered.usage for outcome in outcomes if outcome.answered),
    )


def total(usages: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    """The sum of usages, node by node."""
    summed: dict[str, Usage] = {}
    for usage in usages:
        for node, cost in usage.items():
            summed[node] = summed.get(node, Usage()) + cost
    return summed


def _answer_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    if not any(outcome.answered and outcome.answered.answer is not None for outcome in outcomes):
        return {}
    judged = [outcome for outcome in outcomes if outcome.query.gold.answers]
    return {
        name: {outcome.query.id: measure(_text(outcome), outcome.query.gold.answers) for outcome in judged}
        for name, measure in _ANSWERS.items()
    }


def plain(answer: str | None) -> str:
    """An answer without the marks of its citations and of what is unsupported: their numbers are no words of it."""
    return _MARK.sub("", answer or "")


def _text(outcome: Outcome) -> str:
    answered = outcome.answered
    return "" if answered is None or answered.abstained else plain(answered.answer)


def _ranking_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    if not any(outcome.answered and outcome.answered.passages is not None for outcome in outcomes):
        return {}
    relevant = {outcome.query.id: outcome.query.gold.relevant for outcome in outcomes}
    found = {outcome.query.id: ranked(outcome) for outcome in outcomes}
    return {
        "ndcg@10": ranking.ndcg(found, relevant, 10),
        "recall@5": ranking.recall(found, relevant, 5),
        "sufficiency@5": ranking.sufficiency(found, relevant, 5),
    }


def ranked(outcome: Outcome) -> list[str]:
    """Ids of the documents that were retrieved, best first; none where the question failed."""
    return ranking.documents((outcome.answered and outcome.answered.passages) or ())
