"""Two runs question by question: where the score of one stands against that of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentrag.evaluation.comparing.results import System

_PLACES = 6  # decimals in which two scores are the same


@dataclass(frozen=True, slots=True)
class Spot:
    """Questions with the same two scores. `questions` are ids and texts, in the order of their ids."""

    before: float
    after: float
    questions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scatter:
    """A metric of two runs by question.

    Attributes:
        spots: Each place at which a question is, by rising `before`, then `after`.
    """

    metric: str
    baseline: str
    system: str
    spots: tuple[Spot, ...]

    @property
    def rose(self) -> int:
        """Questions with a higher score than in the baseline."""
        return sum(len(spot.questions) for spot in self.spots if spot.after > spot.before)

    @property
    def fell(self) -> int:
        """Questions with a lower score than in the baseline."""
        return sum(len(spot.questions) for spot in self.spots if spot.after < spot.before)

    @property
    def same(self) -> int:
        """Questions with the score of the baseline."""
        return sum(len(spot.questions) for spot in self.spots if spot.after == spot.before)


def scatter(before: System, after: System, metric: str) -> Scatter:
    """Questions that both have a score of the metric for, with wholes > 0."""
    old, new = before.scores[metric], after.scores[metric]
    places: dict[tuple[float, float], list[str]] = {}
    for name in sorted(old.keys() & new.keys()):
        if old[name].whole > 0 and new[name].whole > 0:
            place = round(old[name].part / old[name].whole, _PLACES), round(new[name].part / new[name].whole, _PLACES)
            places.setdefault(place, []).append(name)
    spots = [Spot(*place, _told(before, names)) for place, names in sorted(places.items())]
    return Scatter(metric, before.name, after.name, tuple(spots))


def _told(system: System, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, system.questions[name]) for name in names)
