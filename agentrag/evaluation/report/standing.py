"""The table of metrics: what each run has, with its interval, and where one is shown to be the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentrag.evaluation.comparing.comparison import compare_systems
from agentrag.evaluation.comparing.results import Comparison, System
from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.report.units import Unit, unit_of
from agentrag.evaluation.scoring.metrics import METRICS, Metric, metric
from agentrag.evaluation.statistics.intervals import Interval

TITLES = {
    "answer": "Answers",
    "ranking": "Rankings",
    "citation": "Citations",
    "abstention": "Refusals",
    "cost": "Costs of a question",
}
_BEATEN = frozenset({"worse", "dearer"})
_BEATING = frozenset({"better", "cheaper"})


@dataclass(frozen=True, slots=True)
class Standing:
    """A metric of all runs.

    Attributes:
        unit: How its numbers are written.
        values: Mean and interval by run, in their order; None where it does not apply to one.
        counts: Questions that each value is over; 0 where there is none.
        best: Number of the run that the comparisons show to be better than every other; None where they show none.
    """

    metric: Metric
    unit: Unit
    values: tuple[Interval | None, ...]
    counts: tuple[int, ...]
    best: int | None = None

    @property
    def n(self) -> int | None:
        """Questions of every run that has the metric; None where they differ."""
        counts = {count for count in self.counts if count}
        return counts.pop() if len(counts) == 1 else None

    def told(self, number: int) -> str:
        """The interval of a run, "" where it has none; with its number of questions where runs differ in it."""
        value = self.values[number]
        if value is None:
            return ""
        return self.unit.interval(value) + (f", n {self.counts[number]:,}" if self.n is None else "")


@dataclass(frozen=True, slots=True)
class Group:
    """Metrics of a kind, under a title."""

    title: str
    rows: tuple[Standing, ...]


def groups(runs: Sequence[Evaluation], best: Mapping[str, int], only: Sequence[str] = ()) -> Iterator[Group]:
    """The metrics that any run has, by kind, in the order of tables. Costs of which all runs have nothing are left out.

    Args:
        runs: The evaluations.
        best: Number of the run that is shown to be the best, by metric; see `best_runs`.
        only: Names of the metrics; all where there are none.
    """
    standings = [_standing(name, runs, best.get(name)) for name in names_of(runs, only)]
    for kind, title in TITLES.items():
        if rows := tuple(each for each in standings if each.metric.kind == kind and not _nothing(each)):
            yield Group(title, rows)


def names_of(runs: Sequence[Evaluation], only: Sequence[str] = ()) -> list[str]:
    """Names of metrics that any run has, in the order of tables; those of rankings as they stand in the runs."""
    order = {each.name: place for place, each in enumerate(METRICS)}
    rankings = min(order[each.name] for each in METRICS if each.kind == "ranking")
    found = dict.fromkeys(name for run in runs for name in run.scores if not only or name in only)
    return sorted(found, key=lambda name: rankings if metric(name).kind == "ranking" else order[name])


def explained(runs: int, *, compared: bool) -> list[str]:
    """Sentences on how the table is read, given the number of runs and whether they are compared."""
    said = ["Means over the questions to which a metric applies, with 95 % bootstrap intervals."]
    said.append("n is the number of those questions" + (", beside the interval where runs differ in it." if runs > 1 else "."))
    if compared:
        said.append("Where a run is marked as best, it is shown to be better than every other one; without a mark no run is.")
    if compared and runs > 2:
        said.append(
            "A mark rests on tests of that run against each other one; shown below are only tests against the first run."
        )
    return said


def best_runs(systems: Sequence[System], comparison: Comparison) -> dict[str, int]:
    """By metric, the number of the run that is shown to be better than every other one.

    It has the best value, the comparison with the first run says so, and so does one in which it is the baseline itself:
    p values are adjusted by Holm over all metrics and pairs of each. Metrics that a run lacks are not in it.

    Args:
        systems: All runs, in order.
        comparison: Of the others with the first.
    """
    shared = [name for name in systems[0].scores if all(name in system.scores for system in systems)]
    leaders = {name: leader for name in shared if (leader := _leader(name, systems)) is not None}
    found: dict[str, int] = {}
    for number in sorted(set(leaders.values())):
        others = [system for place, system in enumerate(systems) if place != number]
        own = compare_systems([systems[number], *others]) if number else comparison
        beaten = {name for name in leaders if _all(own, name)}
        if number:
            beaten &= _better_than_first(comparison, systems[number].name)
        found |= {name: number for name in beaten if leaders[name] == number}
    return found


def _all(comparison: Comparison, name: str) -> bool:
    """Whether every other system is worse in a metric than the baseline."""
    verdicts = [row.verdict for pair in comparison.pairs for row in pair.rows if row.metric == name]
    return len(verdicts) == len(comparison.pairs) and set(verdicts) <= _BEATEN


def _better_than_first(comparison: Comparison, system: str) -> set[str]:
    pairs = [pair for pair in comparison.pairs if pair.system == system]
    return {row.metric for pair in pairs for row in pair.rows if row.verdict in _BEATING}


def _leader(name: str, systems: Sequence[System]) -> int | None:
    """The run with the best value; None where nothing is counted in one of them."""
    means = []
    for system in systems:
        shares = system.scores[name].values()
        if not (whole := sum(share.whole for share in shares)):
            return None
        means.append(sum(share.part for share in shares) / whole)
    best = max(means) if systems[0].better.get(name) == "higher" else min(means)
    return means.index(best)


def _standing(name: str, runs: Sequence[Evaluation], best: int | None) -> Standing:
    values = tuple(run.metrics.get(name) for run in runs)
    counts = tuple(sum(share.whole > 0 for share in run.scores.get(name, {}).values()) for run in runs)
    return Standing(metric(name), unit_of(name, max(value.mean for value in values if value)), values, counts, best)


def _nothing(standing: Standing) -> bool:
    return standing.metric.kind == "cost" and not any(value and value.high for value in standing.values)
