"""From outcomes to metrics: what each question adds, then a mean or share with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agentrag.core.errors import DataSetError
from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.scoring.abstention import abstention_scores
from agentrag.evaluation.scoring.answers import MEASURES, labels, plain
from agentrag.evaluation.scoring.citations import citation_scores
from agentrag.evaluation.scoring.costs import cost_scores
from agentrag.evaluation.scoring.metrics import DEFAULT, Scores, in_order
from agentrag.evaluation.scoring.ranking import documents, rank_scores
from agentrag.evaluation.statistics.intervals import SEED, Interval, Share, intervals


@dataclass(frozen=True)
class Summary:
    """The result of an evaluation.

    Attributes:
        metrics: Mean or share and 95 % interval of each metric that applies, in the order of tables.
        n: Questions asked.
        failed: Why a question has no answer, by id. It counts as 0 in the metrics of answers and rankings.
        usage: What was paid, by node.
    """

    metrics: Mapping[str, Interval]
    n: int
    failed: Mapping[str, str]
    usage: Mapping[str, Usage]


def score(outcomes: Sequence[Outcome], ranking: Sequence[str] = DEFAULT) -> Scores:
    """Every metric that applies, by question, in the order of tables.

    Metrics of answers apply to what answers, over the questions with golden answers; yes_no over those whose golden
    answers are labels. Metrics of rankings apply to what retrieves, over the questions with a relevant document. In both
    a failed question scores 0, and a refusal does in those of answers, whatever its words; marks of citations are no
    part of an answer. Questions that the corpus cannot answer are in neither. For the others see `citation_scores`,
    `abstention_scores` and `cost_scores`.

    Args:
        outcomes: One per question; ids differ.
        ranking: Which metrics of rankings.

    Returns:
        By metric, then question id. A metric that has nothing to count over is left out.

    Raises:
        DataSetError: A name in `ranking` is unknown, or a number is not finite.
    """
    names = in_order(ranking)
    found: dict[str, dict[str, Share]] = _ranking_scores(outcomes, ranking) | cost_scores(outcomes)
    if _answers(outcomes):
        found |= _answer_scores(outcomes) | citation_scores(outcomes) | abstention_scores(outcomes)
    scores = {name: found[name] for name in names if any(each.whole for each in found.get(name, {}).values())}
    _check_finite(scores)
    return scores


def summarise(outcomes: Sequence[Outcome], scores: Scores, seed: int = SEED) -> Summary:
    """Metrics, failures and costs of an evaluation, given its `score`; `seed` is that of the resampling."""
    found = intervals([list(shares.values()) for shares in scores.values()], seed)
    return Summary(
        metrics=dict(zip(scores, found, strict=True)),
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


def ranked(outcome: Outcome) -> list[str]:
    """Ids of the documents that were retrieved, best first; none where the question failed."""
    return documents((outcome.answered and outcome.answered.passages) or ())


def _answers(outcomes: Sequence[Outcome]) -> bool:
    """Whether what was asked answers at all, rather than only retrieves."""
    there = [outcome.answered for outcome in outcomes if outcome.answered]
    return any(answered.answer is not None or answered.abstained for answered in there)


def _text(outcome: Outcome) -> str:
    answered = outcome.answered
    if answered is None or answered.abstained:
        return ""
    numbers = {citation.n for citation in answered.citations} | set(range(1, len(answered.passages or ()) + 1))
    return plain(answered.answer, numbers)


def _answer_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Share]]:
    judged = {outcome.query.id: outcome for outcome in outcomes if outcome.query.gold.answerable and outcome.query.gold.answers}
    labelled = {id_: outcome for id_, outcome in judged.items() if labels(outcome.query.gold.answers)}
    return {
        name: {
            id_: Share(measure(_text(outcome), outcome.query.gold.answers))
            for id_, outcome in (labelled if name == "yes_no" else judged).items()
        }
        for name, measure in MEASURES.items()
    }


def _ranking_scores(outcomes: Sequence[Outcome], names: Sequence[str]) -> dict[str, dict[str, Share]]:
    if not any(outcome.answered and outcome.answered.passages is not None for outcome in outcomes):
        return {}
    judged = [outcome for outcome in outcomes if outcome.query.gold.answerable]
    relevant = {outcome.query.id: outcome.query.gold.relevant for outcome in judged}
    found = rank_scores({outcome.query.id: ranked(outcome) for outcome in judged}, relevant, names)
    return {name: {id_: Share(value) for id_, value in values.items()} for name, values in found.items()}


def _check_finite(scores: Scores) -> None:
    for name, shares in scores.items():
        for id_, each in shares.items():
            if not all(map(math.isfinite, each)):
                raise DataSetError(f"{name} of question '{id_}' is not a finite number: {each.part} of {each.whole}.")
