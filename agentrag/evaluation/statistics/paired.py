"""Two systems on the same questions: what lies between them, and what chance may do to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from agentrag.evaluation.statistics.intervals import RESAMPLES, SEED, Share

LEVEL = 0.05
"""Chance of a test to find a difference where there is none."""

POWER = 0.8
"""Chance of finding the minimum detectable difference."""

FEWEST = 6
"""Fewest questions that can show a difference: with n of them no p of the permutation test is below 2 / 2**n."""

_MOVED = 8
"""Questions that differ, on average, where 6 or more do in four of five repetitions, as many as a test needs to find them."""

_TINY = 1e-12  # what rounding may add to a sum, as a part of it
_BLOCK = 200_000  # drawn numbers held at once: few enough for a processor's cache, which halves the time
_Z = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """A metric of two systems on the same questions.

    Attributes:
        n: Questions that say something of the metric, >= 1: those with a whole above 0 in either system.
        before, after: The metric of the first and of the second system: sum of parts / sum of wholes.
        difference: after - before.
        low, high: 95 % percentile bootstrap interval of the difference, low <= difference <= high. A question is drawn
            with what both systems made of it. That of a single question has the width 0: it says nothing.
        p: Of the two-sided permutation test, in 0..1, not adjusted for other tests.
        effect: Standardised mean difference: difference / standard deviation over the questions of what each adds to
            it. 0.0 where nothing varies and nothing differs; infinite, with the sign of the difference, where every
            question differs by the same.
        detectable: Minimum detectable effect: the smallest true difference, in the unit of the metric, that one test at
            5 % on so many such questions finds in four of five repetitions. At least what 8 questions that differ as much
            as those do make, since the test needs 6 that agree. Infinite below 6 questions, where none can be found, and
            where no question differs, which tells nothing of how much one would; 0.0 where all differ by the same.
        differing: Questions on which the two differ.
    """

    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    effect: float
    detectable: float
    differing: int


def paired(before: Sequence[Share], after: Sequence[Share], seed: int = SEED) -> Paired:
    """Compare two systems on the same questions, in one metric.

    The test swaps the two systems' values of a question at random. Up to 13 questions on which the systems differ, all
    swaps are tried and p = count / all; beyond, 10,000 random ones, and p = (1 + count) / (1 + 10,000). `count` is of
    those with a difference at least as large as the observed one, up to rounding. A resample or swap that leaves either
    system with a whole of 0 has no difference and is not counted in either number.

    What a question adds to a ratio is its influence value (the delta method): for a plain metric, whose wholes are all
    1, that is just the difference of its two values.

    Args:
        before: What each question adds to the metric of the first system. Wholes are >= 0; 0 where a question says nothing.
        after: The same of the second system, the questions in the same order.
        seed: Of resamples and swaps; equal shares and seed give an equal result.

    Raises:
        ValueError: No questions, not as many before as after, a number that is not finite, a negative whole, or wholes
            that are all 0.

    Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; Smucker, Allan and
    Carterette, CIKM 2007, for such tests on rankings; Phipson and Smyth, 2010, for the 1 that is added.
    >>> found = paired([Share(0.0)] * 6, [Share(1.0)] * 6)
    >>> found.difference, found.p, found.effect
    (1.0, 0.03125, inf)
    """
    columns = _columns(before, after)
    of_before, of_after = float(columns[0].sum() / columns[1].sum()), float(columns[2].sum() / columns[3].sum())
    difference = of_after - of_before
    low, high = np.percentile(_differences(_resampled(columns, np.random.default_rng(seed))), [2.5, 97.5])
    spread = _spread(columns, of_before, of_after)
    n, differing = columns.shape[1], int((columns[2:] != columns[:2]).any(axis=0).sum())
    return Paired(
        n=n,
        before=of_before,
        after=of_after,
        difference=difference,
        low=min(difference, float(low)),
        high=max(difference, float(high)),
        p=_p(columns, difference, np.random.default_rng(seed)),
        effect=_effect(difference, spread, max(abs(of_before), abs(of_after))),
        detectable=_detectable(columns, of_before, of_after, spread) if n >= FEWEST and differing else math.inf,
        differing=differing,
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values of several tests, in the given order, by Holm's step-down method.

    The chance of one false finding or more among all tests is at most 5 % where those below .05 count as found.

    Raises:
        ValueError: A p is not in 0..1.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    >>> holm([0.04, 0.01])
    [0.04, 0.02]
    """
    if not all(0 <= p <= 1 for p in ps):
        raise ValueError("a p value is a number in 0..1")
    adjusted = [0.0] * len(ps)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        least = adjusted[place] = max(least, min(1.0, (len(ps) - rank) * ps[place]))
    return adjusted


def _columns(before: Sequence[Share], after: Sequence[Share]) -> Array:
    """Parts and wholes before, parts and wholes after: shape (4, n)."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} questions before are not the {len(after)} after")
    if not before:
        raise ValueError("a comparison needs at least one question")
    columns = np.concatenate([np.asarray(shares, dtype=np.float64).T for shares in (before, after)])
    if not np.isfinite(columns).all():
        raise ValueError("a comparison takes finite numbers only")
    columns = columns[:, columns[[1, 3]].any(axis=0)]
    wholes = columns[[1, 3]]
    if not wholes.size or (wholes < 0).any() or not wholes.any(axis=1).all():
        raise ValueError("the wholes of a metric are >= 0 and not all 0")
    return columns


def _differences(sums: Array) -> Array:
    """Differences of the metric by sums of shape (4, r), less those where a whole is 0: shape (r,) or shorter."""
    wholes = sums[[1, 3]]
    kept = sums[:, (wholes > _TINY * wholes.max()).all(axis=0)]
    differences: Array = kept[2] / kept[3] - kept[0] / kept[1]
    return differences


def _resampled(columns: Array, random: np.random.Generator) -> Array:
    """Sums of resamples of the questions: shape (4, RESAMPLES)."""
    n = columns.shape[1]
    drawn = (random.integers(n, size=(size, n)) for size in _sizes(n))
    return np.concatenate([np.stack([_drawn_sums(column, places) for column in columns]) for places in drawn], axis=1)


def _drawn_sums(column: Array, places: NDArray[np.int64]) -> Array:
    if (column == column[0]).all():  # the wholes of a plain metric: half of the work
        return np.full(len(places), column[0] * len(column))
    sums: Array = column.take(places).sum(axis=1)
    return sums


def _sizes(n: int) -> Iterator[int]:
    """Blocks of RESAMPLES rows of n numbers."""
    rows = max(1, _BLOCK // n)
    return (min(rows, RESAMPLES - begun) for begun in range(0, RESAMPLES, rows))


def _p(columns: Array, difference: float, random: np.random.Generator) -> float:
    changes = columns[2:] - columns[:2]
    changes = changes[:, changes.any(axis=0)]
    n = changes.shape[1]
    exact = 2**n <= RESAMPLES
    swaps = _all_swaps(n) if exact else (random.integers(2, size=(size, n), dtype=np.bool_) for size in _sizes(n))
    moved = np.concatenate([changes @ swapped.T for swapped in swaps], axis=1)
    swapped_sums = columns.sum(axis=1)[:, np.newaxis] + np.concatenate([moved, -moved])
    found = np.abs(_differences(swapped_sums))
    count = int((found >= abs(difference) - _TINY * max(1.0, float(found.max(initial=0.0)))).sum())
    return count / len(found) if exact else (1 + count) / (1 + len(found))


def _all_swaps(n: int) -> Iterator[NDArray[np.bool_]]:
    """Every choice of questions to swap, as one block: shape (2**n, n)."""
    yield (np.arange(2**n)[:, np.newaxis] >> np.arange(n)) % 2 == 1


def _spread(columns: Array, before: float, after: float) -> float:
    """Standard deviation over the questions of their influence on the difference; 0.0 where only rounding varies."""
    if columns.shape[1] == 1:
        return 0.0
    spread = float(_influences(columns, before, after).std(ddof=1))
    return spread if spread > _TINY * max(abs(before), abs(after)) else 0.0


def _influences(columns: Array, before: float, after: float) -> Array:
    """What each question adds to the difference, beyond the difference itself: shape (n,), mean 0."""
    parts, wholes = columns[[0, 2]], columns[[1, 3]]
    each = (parts - np.array([[before], [after]]) * wholes) / wholes.mean(axis=1, keepdims=True)
    influences: Array = each[1] - each[0]
    return influences


def _detectable(columns: Array, before: float, after: float, spread: float) -> float:
    n = columns.shape[1]
    if not spread:
        return 0.0
    sizes = np.abs(_influences(columns, before, after) + after - before)
    differing = sizes > _TINY * max(1.0, float(sizes.max()))
    typical = float(sizes[differing].mean()) if differing.any() else 0.0
    return float(max(_Z * spread / math.sqrt(n), _MOVED * typical / n))


def _effect(difference: float, spread: float, scale: float) -> float:
    if spread:
        return difference / spread
    return 0.0 if abs(difference) <= _TINY * scale else math.copysign(math.inf, difference)
