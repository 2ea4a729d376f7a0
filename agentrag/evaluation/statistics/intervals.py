"""Means and shares with what chance may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
SEED = 20_240_501
_BLOCK = 2_000_000  # drawn indices held at once, 16 MB


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
    pairs = np.asarray([parts, wholes], dtype=np.float64)
    if not np.isfinite(pairs).all() or pairs[1].sum() <= 0:
        raise ValueError("an interval needs at least one number, and finite ones only")
    sums = _resampled(pairs, np.random.default_rng(seed))
    drawn = sums[:, sums[1] > 0]
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    mean = float(pairs[0].sum() / pairs[1].sum())
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))


def _resampled(pairs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Sums of resamples of the columns of a (2, n) array: shape (2, RESAMPLES)."""
    n = pairs.shape[1]
    rows = max(1, _BLOCK // n)
    sizes = (min(rows, RESAMPLES - begun) for begun in range(0, RESAMPLES, rows))
    return np.concatenate([pairs[:, random.integers(n, size=(size, n))].sum(axis=2) for size in sizes], axis=1)
