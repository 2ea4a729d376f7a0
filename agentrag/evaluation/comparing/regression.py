"""Whether an evaluation has got worse than an earlier one: by more than chance moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agentrag.evaluation.comparing.results import Row
from agentrag.evaluation.evaluation import Evaluation, compare
from agentrag.evaluation.scoring.metrics import metric
from agentrag.evaluation.scoring.scores import ranked
from agentrag.evaluation.statistics.intervals import Share
from agentrag.evaluation.statistics.paired import LEVEL, paired

_DEPTH = 10
_TIMES = frozenset({"seconds", "latency", "first_token"})
"""Costs that differ from machine to machine: shown in comparisons, never a regression."""


@dataclass(frozen=True, slots=True)
class Band:
    """How far an evaluation may be from its baseline.

    Attributes:
        quality: Loss in a metric that is let pass even where it is no chance, in the metric's unit.
        cost: Rise of calls, tokens or money that is let pass, as a part of what it was.
        retrieved: Least mean share of the baseline's first 10 documents that are still among the first 10, 0..1.
    """

    quality: float = 0.0
    cost: float = 0.05
    retrieved: float = 0.95


@dataclass(frozen=True, slots=True)
class Regression:
    """What left its band, and why that is no chance."""

    what: str
    why: str


_OF_REFUSALS = "abstention_precision"
"""It has no value where nothing is refused, which may be for the better; abstention_recall tells where it is not."""
USUAL = Band()


def regressions(baseline: Evaluation, now: Evaluation, band: Band = USUAL) -> list[Regression]:
    """All that left its band, in the order: failures, metrics that are gone, metrics, costs, retrieved documents.

    Rankings are judged in the baseline's metrics, whichever this run was scored with.
    A metric leaves its band where it is worse by the permutation test, Holm over all metrics, and by more than the band lets
    pass; a cost where the whole 95 % interval of its difference lies above 0, and it rose by more than the band lets pass.
    A quality that the baseline has and this run lacks altogether is one too, and so are questions that failed now, by the
    same test as metrics.

    Raises:
        DataSetError: The two have no common question, or judge one differently.
    """
    now = now.scored_by(baseline.ranking_metrics)
    (pair,) = compare(baseline, now).pairs
    found = [Regression("failed", why)] if (why := _failing(baseline, now)) else []
    found += [Regression(name, "the baseline has it, this run does not") for name in _lost(baseline, now)]
    found += [Regression(row.metric, why) for row in pair.rows if (why := _worse(row, band))]
    if why := _moved(baseline, now, band):
        found.append(Regression("retrieved", why))
    return found


def overlap(baseline: Evaluation, now: Evaluation, depth: int = _DEPTH) -> float | None:
    """Mean share, over common questions, of the first documents of a baseline that are still among the first ones.

    None where the baseline retrieved nothing.
    """
    found = {outcome.query.id: set(ranked(outcome)[:depth]) for outcome in now.outcomes}
    shares = list(_shares(baseline, found, depth))
    return sum(shares) / len(shares) if shares else None


def _shares(baseline: Evaluation, found: dict[str, set[str]], depth: int) -> Iterator[float]:
    for outcome in baseline.outcomes:
        before = set(ranked(outcome)[:depth])
        if before and outcome.query.id in found:
            yield len(before & found[outcome.query.id]) / len(before)


def _lost(baseline: Evaluation, now: Evaluation) -> list[str]:
    gone = [name for name in baseline.scores if name not in now.scores and metric(name).kind != "cost"]
    return [name for name in gone if name != _OF_REFUSALS]


def _failing(baseline: Evaluation, now: Evaluation) -> str:
    before, after = ({each.query.id: each.answered is None for each in run.outcomes} for run in (baseline, now))
    ids = sorted(before.keys() & after.keys())
    found = paired([Share(before[id_]) for id_ in ids], [Share(after[id_]) for id_ in ids])
    if found.difference <= 0 or found.p >= LEVEL:
        return ""
    return f"{sum(before[id_] for id_ in ids)} to {sum(after[id_] for id_ in ids)} of {len(ids)} questions failed"


def _worse(row: Row, band: Band) -> str:
    found = row.paired
    if row.metric in _TIMES or row.verdict not in ("worse", "dearer"):
        return ""
    passed = band.cost * abs(found.before) if row.cost else band.quality
    if abs(found.difference) <= passed:
        return ""
    moved = f"{found.before:.4g} to {found.after:.4g}"
    return f"{moved}, a difference of {found.difference:+.4g} [{found.low:+.4g}, {found.high:+.4g}] over {found.n} questions"


def _moved(baseline: Evaluation, now: Evaluation, band: Band) -> str:
    kept = overlap(baseline, now)
    if kept is None or kept >= band.retrieved:
        return ""
    return f"of the first {_DEPTH} documents of the baseline {kept:.1%} are still among the first {_DEPTH}"
