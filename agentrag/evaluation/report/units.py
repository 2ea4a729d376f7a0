"""How the numbers of a report are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agentrag.evaluation.scoring.metrics import metric
from agentrag.evaluation.statistics.intervals import Interval

_DIGITS = 3
"""Digits that the largest number of a cost has at least."""

_MOST_PLACES = 9

_TIMES = frozenset({"seconds", "latency", "first_token"})
_NAMES = {"tokens": "tokens", "calls": "calls", "usd": "USD"}


@dataclass(frozen=True, slots=True)
class Unit:
    """The form of a metric's numbers.

    Attributes:
        name: Said once, beside the metric; "" for shares and scores in 0..1.
        factor: A number is multiplied by it before it is written.
        places: Its decimals then, >= 0.
    """

    name: str = ""
    factor: float = 1.0
    places: int = _DIGITS

    def shown(self, value: float) -> str:
        """A number in this form; what rounds to 0 has no sign.

        A cost that is far below the largest has more decimals: the first that round it by less than a twentieth.

        >>> Unit("ms", 1000.0, 0).shown(1.2345), Unit().shown(-0.0001), Unit("ms", 1000.0, 1).shown(0.00004)
        ('1,234', '0.000', '0.04')
        """
        number = value * self.factor
        text = f"{number:,.{self._places(number)}f}"
        return text if any(digit in text for digit in "123456789") else text.lstrip("-")

    def _places(self, number: float) -> int:
        if not self.name:
            return self.places
        near = (
            places for places in range(self.places, _MOST_PLACES + 1) if abs(round(number, places) - number) <= abs(number) / 20
        )
        return next(near, self.places)

    def title(self, metric: str) -> str:
        """The metric with its unit, where its name does not say it.

        >>> Unit("ms").title("seconds"), Unit("s").title("seconds"), Unit("USD").title("usd"), Unit().title("f1")
        ('seconds (ms)', 'seconds', 'usd', 'f1')
        """
        said = self.name.lower() in ("", metric) or (self.name, metric) == ("s", "seconds")
        return metric if said else f"{metric} ({self.name})"

    def interval(self, value: Interval) -> str:
        """The ends of an interval."""
        return f"{self.shown(value.low)} to {self.shown(value.high)}"


def unit_of(name: str, largest: float) -> Unit:
    """The unit of a metric: times below a second are in ms; costs have three digits at least.

    Args:
        name: A metric.
        largest: The largest number that is to be written, in the unit of the metric.

    >>> unit_of("latency", 0.25), unit_of("usd", 0.00121).places, unit_of("tokens", 1534.2).shown(1534.2)
    (Unit(name='ms', factor=1000.0, places=0), 5, '1,534')
    """
    if metric(name).kind != "cost":
        return Unit()
    if name in _TIMES:
        word, factor = ("ms", 1000.0) if largest < 1 else ("s", 1.0)
    else:
        word, factor = _NAMES[name], 1.0
    return Unit(word, factor, places_for(largest * factor))


def places_for(largest: float, digits: int = _DIGITS) -> int:
    """Decimals that give a number of this size so many digits, 0..9.

    >>> places_for(0.00121), places_for(15.0), places_for(0.0)
    (5, 1, 0)
    """
    return min(max(digits - 1 - math.floor(math.log10(abs(largest))), 0), _MOST_PLACES) if largest else 0


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "question"), counted(1200, "question")
    ('1 question', '1,200 questions')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def shortened(text: str, longest: int) -> str:
    """A text on one line, cut to so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
