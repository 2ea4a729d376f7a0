"""Means with what chance may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
SEED = 20_240_501
_BLOCK = 2_000_000  # drawn indices held at once, 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval, `low` <= `mean` <= `high`."""

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
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("an interval needs at least one number, and finite ones only")
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(numbers))
    means = [
        numbers[random.integers(len(numbers), size=(min(rows, RESAMPLES - begun), len(numbers)))].mean(axis=1)
        for begun in range(0, RESAMPLES, rows)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    mean = float(numbers.mean())
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))
