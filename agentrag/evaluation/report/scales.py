"""Axes of charts: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TINY = 1e-9  # of a step: what is nearer to a tick is on it
_WIDE = 20.0
"""A span of costs from which on their axis is logarithmic."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values on a range of pixels.

    Attributes:
        low, high: The values at its ends, low < high; > 0 where it is logarithmic.
        start, end: The pixels there; end < start turns it round, as a vertical one is.
        ticks: Values with a mark, inside low..high, rising.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value; one outside is put on the nearer end."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            part = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            part = (inside - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def linear(values: Iterable[float], start: float, end: float, about: int = 5) -> Axis:
    """An axis from one round number to another that holds all values, with about so many ticks.

    >>> linear([0.12, 0.38], 0, 100).ticks
    (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
    """
    found = list(values)
    low, high = min(found), max(found)
    if high - low <= _TINY * max(abs(low), abs(high), _TINY):
        room = abs(low) / 2 or 0.5
        low, high = low - room if low < 0 else max(low - room, 0.0), high + room
    step = _step((high - low) / about)
    first, last = math.floor(low / step + _TINY), math.ceil(high / step - _TINY)
    ticks = tuple(round(number * step, 12) for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def logarithmic(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis on which equal factors are equally long; ticks at 1, 2 and 5 times powers of ten, or at those only.

    Raises:
        ValueError: A value is not above 0.
    """
    found = list(values)
    if min(found) <= 0:
        raise ValueError("a logarithmic axis has no place for what is not above 0")
    low, high = min(found) / 1.25, max(found) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 3 else (1, 2, 5)
    ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return Axis(low, high, start, end, tuple(tick for tick in ticks if low <= tick <= high), log=True)


def costs(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis for costs: from 0, or logarithmic where the largest is 20 times the smallest and none is 0."""
    if min(values) > 0 and max(values) / min(values) >= _WIDE:
        return logarithmic(values, start, end)
    return linear([0.0, *values], start, end, about=4)


def label(tick: float, axis: Axis, factor: float = 1.0) -> str:
    """The number at a tick, with the decimals that its axis needs.

    Args:
        tick: One of the axis.
        axis: The axis.
        factor: From the values of the axis to the numbers that are written.
    """
    if axis.log:
        return f"{tick * factor:,.10g}" if abs(tick * factor) < 1e6 else f"{tick * factor:.0e}"
    if len(axis.ticks) < 2:
        return f"{tick * factor:,.3g}"
    places = next(places for places in range(13) if _whole([value * factor * 10**places for value in axis.ticks[:2]]))
    return f"{tick * factor:,.{places}f}"


def _whole(values: Sequence[float]) -> bool:
    return all(abs(value - round(value)) < 1e-6 for value in values)


def _step(rough: float) -> float:
    """The nearest round step: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return float(min(_STEPS, key=lambda step: abs(math.log(step * power / rough)))) * power
