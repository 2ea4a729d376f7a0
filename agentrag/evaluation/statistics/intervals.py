"""Means and shares with what chance may do to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20_240_501
_BLOCK = 500_000  # drawn indices held at once: few enough for a processor's cache
Array = NDArray[np.float64]


class Share(NamedTuple):
    """What one question adds to a metric: the metric is the sum of all parts over the sum of all wholes.

    A plain score has the whole 1. One that counts things of which a question may have several or none, such as right
    citations among all, has their number for a whole; at 0 the question says nothing about it.
    """

    part: float
    whole: float = 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean or share and its 95 % interval, `low` <= `mean` <= `high`."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float], seed: int = SEED) -> Interval:
    """The mean of values with its 95 % percentile bootstrap interval over the values.

    Args:
        values: One number per question, n >= 1, finite. A single one has an interval of width 0: it says nothing.
        seed: Of the resampling; equal values and seed give equal intervals.

    Raises:
        ValueError: No values, or one is not finite.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    >>> interval([1.0])
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    return share(values, [1.0] * len(values), seed)


def share(parts: Sequence[float], wholes: Sequence[float], seed: int = SEED) -> Interval:
    """sum(parts) / sum(wholes) with its 95 % percentile bootstrap interval, resampled by question.

    For shares of things that a question may have several of, or none: they are not independent inside a question.

    Args:
        parts: A number per question, finite.
        wholes: What it is a part of, >= 0, not all 0.
        seed: Of the resampling; equal numbers and seed give equal intervals.

    Raises:
        ValueError: No questions, all wholes are 0, or a number is not finite.

    >>> share([1, 0], [2, 0])
    Interval(mean=0.5, low=0.5, high=0.5)
    """
    return intervals([[Share(part, whole) for part, whole in zip(parts, wholes, strict=True)]], seed)[0]


def intervals(metrics: Sequence[Sequence[Share]], seed: int = SEED) -> list[Interval]:
    """The interval of each of several metrics, as from `share`; those with as many questions share the resamples.

    Cost: about 0.1 s for 1,000 questions, and little more for twenty metrics of them than for one.

    Raises:
        ValueError: As from `share`.
    """
    pairs = [np.asarray(shares, dtype=np.float64).reshape(-1, 2) for shares in metrics]
    for each in pairs:
        if not np.isfinite(each).all() or each[:, 1].sum() <= 0:
            raise ValueError("an interval needs at least one number, and finite ones only")
    found: dict[int, Interval] = {}
    for n in sorted({len(each) for each in pairs}):
        places = [place for place, each in enumerate(pairs) if len(each) == n]
        sums = _resampled(np.hstack([pairs[place] for place in places]), np.random.default_rng(seed))
        for column, place in enumerate(places):
            found[place] = _interval(pairs[place], sums[:, 2 * column], sums[:, 2 * column + 1])
    return [found[place] for place in range(len(pairs))]


def _interval(pairs: Array, parts: Array, wholes: Array) -> Interval:
    drawn = wholes > 0
    low, high = np.percentile(parts[drawn] / wholes[drawn], [2.5, 97.5])
    mean = float(pairs[:, 0].sum() / pairs[:, 1].sum())
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))


def _resampled(columns: Array, random: np.random.Generator) -> Array:
    """Sums over resamples of the rows of a (n, c) array: shape (RESAMPLES, c)."""
    return np.concatenate([drawn @ columns for drawn in _counts(len(columns), random)])


def _counts(n: int, random: np.random.Generator) -> Iterator[Array]:
    """How often each of n questions is in each resample: blocks of shape (rows, n), RESAMPLES rows in all."""
    most = max(1, _BLOCK // n)
    for begun in range(0, RESAMPLES, most):
        rows = min(most, RESAMPLES - begun)
        places = random.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
