"""Costs as data: what one step costs, and what a stretch of a flow costs step by step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

TOTAL = ""
"""The line of a bill that stands for all steps together."""


class Amount(NamedTuple):
    """What something costs; `times` is how often a node runs, attempts not counted."""

    times: float = 0.0
    calls: float = 0.0
    passages: float = 0.0
    prompt: float = 0.0
    completion: float = 0.0
    usd: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> float:
        """Prompt and completion."""
        return self.prompt + self.completion

    def scaled(self, factor: float) -> Amount:
        """So many times the amount."""
        return Amount(*(part * factor for part in self))


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Bill:
    """What the steps of a stretch cost.

    Attributes:
        lines: Cost by the step's path; `TOTAL` for all of them, where only the longest of concurrent ways counts in seconds.
        weight: How likely the stretch is gone through, 0..1; the lines are already multiplied by it.
    """

    lines: Mapping[str, Amount] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def total(self) -> Amount:
        """The cost of all steps together."""
        return self.lines.get(TOTAL, NOTHING)

    def scaled(self, factor: float) -> Bill:
        """So many times the cost, with the same weight."""
        return Bill({step: amount.scaled(factor) for step, amount in self.lines.items()}, self.weight)

    def weighed(self, chance: float) -> Bill:
        """The same stretch, gone through with this chance."""
        return Bill(self.scaled(chance).lines, self.weight * chance)

    def then(self, following: Bill) -> Bill:
        """The stretch and the one that follows."""
        first = self if following.weight == 1.0 else self.scaled(following.weight)
        second = following if self.weight == 1.0 else following.scaled(self.weight)
        return Bill(lined(operator.add, [first, second]), self.weight * following.weight)

    def lasting(self, seconds: float) -> Bill:
        """The same, with another time for all together."""
        return Bill({**self.lines, TOTAL: self.total._replace(seconds=seconds)}, self.weight)


FREE = Bill()


def lined(operation: Callable[[float, float], float], bills: Iterable[Bill]) -> dict[str, Amount]:
    """Combine bills line by line and number by number; a step that a bill does not name costs nothing there."""
    first, *others = bills
    lines = dict(first.lines)
    for bill in others:
        for step in lines.keys() | bill.lines.keys():
            lines[step] = Amount(*map(operation, lines.get(step, NOTHING), bill.lines.get(step, NOTHING)))
    return lines
