"""Whether an evaluation has got worse than an earlier one: by more than chance moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agentrag.evaluation.comparison import Row
from agentrag.evaluation.evaluation import Evaluation, compare
from agentrag.evaluation.scoring.scores import ranked

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


def regressions(baseline: Evaluation, now: Evaluation, band: Band = Band()) -> list[Regression]:  # frozen
    """All that left its band, in the order: metrics, costs, retrieved documents.

    A metric or a cost leaves its band where the whole 95 % interval of the paired difference lies on the wrong side of 0
    and the difference is more than the band lets pass.

    Raises:
        DataSetError: The two have no common question, or judge one differently.
    """
    (pair,) = compare(baseline, now).pairs
    found = [Regression(row.metric, why) for row in pair.rows if (why := _worse(row, band, now))]
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


def _worse(row: Row, band: Band, now: Evaluation) -> str:
    paired = row.paired
    higher = now.as_system().better.get(row.metric, "higher") == "higher" and not row.cost
    if row.metric in _TIMES or not (paired.high < 0 if higher else paired.low > 0):
        return ""
    passed = band.cost * abs(paired.before) if row.cost else band.quality
    if abs(paired.difference) <= passed:
        return ""
    moved = f"{paired.before:.4g} to {paired.after:.4g}"
    return (
        f"{moved}, a difference of {paired.difference:+.4g} [{paired.low:+.4g}, {paired.high:+.4g}] over {paired.n} questions"
    )


def _moved(baseline: Evaluation, now: Evaluation, band: Band) -> str:
    kept = overlap(baseline, now)
    if kept is None or kept >= band.retrieved:
        return ""
    return f"of the first {_DEPTH} documents of the baseline {kept:.1%} are still among the first {_DEPTH}"
