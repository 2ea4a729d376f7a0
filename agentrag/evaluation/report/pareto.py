"""Quality against cost: which runs no other one beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agentrag.evaluation.scoring.metrics import metric
from agentrag.evaluation.statistics.intervals import Interval

MONEY = ("usd", "tokens", "calls")
"""What a run costs; of those in which runs differ, the one that most runs have is shown, the first of several."""

TIME = ("latency", "seconds")
"""How long a question takes; chosen in the same way."""


@dataclass(frozen=True, slots=True)
class Point:
    """A run in a plot.

    Attributes:
        number: Place of the run in the report, from 0.
        front: Whether it is on the Pareto front; see `front`.
    """

    number: int
    name: str
    cost: Interval
    quality: Interval
    front: bool = False


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """A metric of quality against one of cost.

    Attributes:
        points: At least two, in the order of the runs.
        left_out: Names of runs that lack one of the two.
    """

    quality: str
    cost: str
    points: tuple[Point, ...]
    left_out: tuple[str, ...]


def tradeoffs(qualities: Sequence[str], runs: Mapping[str, Mapping[str, Interval]]) -> Iterator[Tradeoff]:
    """Each of the qualities against what the runs cost, then against how long they take.

    Args:
        qualities: Names of metrics, better where they are higher or lower as `metric` says.
        runs: Mean and interval by metric, by the name of the run, in their order.
    """
    for quality in qualities:
        for cost in filter(None, (_cost(MONEY, runs), _cost(TIME, runs))):
            both = [(number, name) for number, name in enumerate(runs) if {quality, cost} <= runs[name].keys()]
            if len(both) >= 2:
                points = [Point(number, name, runs[name][cost], runs[name][quality]) for number, name in both]
                left_out = tuple(name for name in runs if not {quality, cost} <= runs[name].keys())
                yield Tradeoff(quality, cost, front(points, higher=metric(quality).better == "higher"), left_out)


def front(points: Sequence[Point], *, higher: bool = True) -> tuple[Point, ...]:
    """The same points, those on the Pareto front marked: no other is as good and cheaper, or better and as cheap, or both.

    Args:
        points: Compared by their means.
        higher: Whether more quality is better.
    """
    way = 1 if higher else -1

    def beats(one: Point, other: Point) -> bool:
        costs, gains = (one.cost.mean, other.cost.mean), (way * one.quality.mean, way * other.quality.mean)
        return costs[0] <= costs[1] and gains[0] >= gains[1] and (costs[0] < costs[1] or gains[0] > gains[1])

    return tuple(replace(each, front=not any(beats(other, each) for other in points)) for each in points)


def _cost(names: Sequence[str], runs: Mapping[str, Mapping[str, Interval]]) -> str:
    """The cost that most runs have, of those in which they differ; the first of the names where several are. "" for none."""

    def having(name: str) -> int:
        found = [metrics[name].mean for metrics in runs.values() if name in metrics]
        return len(found) if len(set(found)) > 1 else 0

    best = max(names, key=having)
    return best if having(best) else ""
