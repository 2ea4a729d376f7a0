"""Systems against a baseline, question by question: which is better, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from agentrag.core.errors import DataSetError, unknown
from agentrag.evaluation.comparing.results import Comparison, Direction, Move, Moved, Pair, Row, System, Verdict
from agentrag.evaluation.statistics.intervals import SEED
from agentrag.evaluation.statistics.paired import FEWEST, LEVEL, Paired, holm, paired

MOST = 5
"""Questions shown of those that moved, each way."""

_ROUNDING = 1e-9  # part of a cost that sums in another order may differ by
_PLACES = 12  # decimals of a change of a score: what is beyond is rounding


@dataclass(frozen=True, slots=True)
class _Measured:
    """A pair before its p values are adjusted, which needs those of all pairs."""

    before: System
    after: System
    metrics: Mapping[str, Paired]
    notes: tuple[str, ...]

    def costs(self) -> frozenset[str]:
        return self.before.costs | self.after.costs


def compare_systems(systems: Sequence[System], metrics: Sequence[str] | None = None, seed: int = SEED) -> Comparison:
    """Compare systems with the first of them, on the questions that both of a pair were asked.

    Args:
        systems: The baseline, then what is compared with it; names differ.
        metrics: What to compare. Without: all that both of a pair have, in the baseline's order, costs last.
        seed: Of resamples and permutations; equal systems and seed give an equal comparison.

    Raises:
        DataSetError: Fewer than two systems, two of one name, a pair without a common question or metric, a metric that
            one of a pair does not have, or a common question that was judged by different gold in the two.
    """
    _check_names(systems)
    baseline, *others = systems
    measured = [_measure(baseline, other, metrics, seed) for other in others]
    tested = [(number, metric) for number, pair in enumerate(measured) for metric in pair.metrics if metric not in pair.costs()]
    adjusted = dict(zip(tested, holm([measured[number].metrics[metric].p for number, metric in tested]), strict=True))
    pairs = [
        _pair(pair, {metric: adjusted.get((number, metric)) for metric in pair.metrics}) for number, pair in enumerate(measured)
    ]
    return Comparison(baseline.name, tuple(pairs), len(tested))


def moved(before: System, after: System, metric: str, most: int = MOST) -> Moved:
    """The questions whose score of a metric rose most and fell most from one system to the other.

    Only questions that both have a score for, with wholes > 0, and whose score differs. A rise is a higher score,
    whichever way the metric is better.

    Raises:
        DataSetError: A system does not have the metric.
    """
    _check_metric(metric, _shared(before, after))
    old, new = before.scores[metric], after.scores[metric]
    moves = [
        Move(id_, before.questions[id_], old[id_].part / old[id_].whole, new[id_].part / new[id_].whole)
        for id_ in _common(before, after, metric)
        if old[id_].whole > 0 and new[id_].whole > 0
    ]
    return Moved(metric, _largest(moves, 1, most), _largest(moves, -1, most))


def _largest(moves: Sequence[Move], way: int, most: int) -> tuple[Move, ...]:
    """The moves that went farthest up (way 1) or down (-1). Equal ones stay in their order, rounding aside."""
    by_size = sorted(moves, key=lambda move: round(way * (move.before - move.after), _PLACES))
    return tuple(move for move in by_size[:most] if round(way * (move.after - move.before), _PLACES) > 0)


def _check_names(systems: Sequence[System]) -> None:
    if len(systems) < 2:
        raise DataSetError(f"A comparison needs at least two systems, not {len(systems)}.")
    names = [system.name for system in systems]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataSetError(f"Two systems are named '{twice[0]}': a comparison could not tell them apart.")


def _check_metric(metric: str, shared: Sequence[str]) -> None:
    if metric not in shared:
        raise DataSetError(unknown("metric", metric, shared))


def _shared(before: System, after: System) -> list[str]:
    """Metrics that both have, in the order of the first, costs last."""
    both = [metric for metric in before.scores if metric in after.scores]
    return sorted(both, key=lambda metric: metric in before.costs | after.costs)


def _measure(before: System, after: System, metrics: Sequence[str] | None, seed: int) -> _Measured:
    _check_questions(before, after)
    shared = _shared(before, after)
    if not shared:
        raise DataSetError(f"'{before.name}' and '{after.name}' have no metric in common.")
    for metric in metrics or ():
        _check_metric(metric, shared)
    found: dict[str, Paired] = {}
    alone = [
        (one.name, metric)
        for one, other in ((before, after), (after, before))
        for metric in one.scores
        if metric not in other.scores
    ]
    asked = before.questions.keys() & after.questions.keys()
    notes = [*_left_out({system.name: system.questions.keys() for system in (before, after)}, "", "was asked")]
    notes += [f"{metric} is not compared: only {name} has it." for name, metric in alone if not metrics]
    for metric in dict.fromkeys(metrics or shared):
        scored = {system.name: asked & system.scores[metric].keys() for system in (before, after)}
        notes += _left_out(scored, f" of {metric}", "has a score")
        ids = _common(before, after, metric)
        old, new = ([system.scores[metric][id_] for id_ in ids] for system in (before, after))
        if not all(any(share.whole for share in shares) for shares in (old, new)):
            notes.append(f"{metric} is not compared: on the common questions there is nothing that it counts.")
            continue
        try:
            found[metric] = paired(old, new, seed)
        except ValueError as error:
            raise DataSetError(f"{metric} of '{before.name}' and '{after.name}' cannot be compared: {error}") from error
    return _Measured(before, after, found, tuple(notes))


def _common(before: System, after: System, metric: str) -> list[str]:
    """Ids of the questions that both were asked and have a score for."""
    asked = before.questions.keys() & after.questions.keys()
    return sorted(asked & before.scores[metric].keys() & after.scores[metric].keys())


def _check_questions(before: System, after: System) -> None:
    common = sorted(before.questions.keys() & after.questions.keys())
    if not common:
        raise DataSetError(f"'{before.name}' and '{after.name}' have no question in common.")
    for id_ in common:
        if before.judged.get(id_) != after.judged.get(id_):
            raise DataSetError(
                f"Question '{id_}' was judged by different gold in '{before.name}' and in '{after.name}': "
                "their scores cannot be compared. Evaluate both on the same data set."
            )


def _left_out(ids: Mapping[str, Set[str]], where: str, why: str) -> Iterator[str]:
    """How many questions only one of two systems has, a sentence for each; `ids` by their names."""
    both = set.intersection(*map(set, ids.values()))
    for name, own in ids.items():
        alone = len(own - both)
        if alone:
            count = "1 question was" if alone == 1 else f"{alone:,} questions were"
            yield f"{count} left out{where}: only {name} {why}."


def _pair(pair: _Measured, adjusted: Mapping[str, float | None]) -> Pair:
    before, after = pair.before, pair.after
    rows = []
    for metric, found in pair.metrics.items():
        better = before.better.get(metric, after.better.get(metric, "higher"))
        verdict = _verdict(found, adjusted[metric], better)
        rows.append(Row(after.name, before.name, metric, found, adjusted[metric], verdict))
    first = next((row.metric for row in rows if not row.cost), None)
    return Pair(after.name, before.name, tuple(rows), pair.notes, moved(before, after, first) if first else None)


def _verdict(found: Paired, p_holm: float | None, better: Direction) -> Verdict:
    if p_holm is not None:
        rose = found.difference > 0
        return "no difference shown" if p_holm >= LEVEL else "better" if rose == (better == "higher") else "worse"
    rounding = _ROUNDING * max(abs(found.before), abs(found.after))
    if found.n < FEWEST or (found.low <= rounding and found.high >= -rounding):  # the interval of a few is too narrow
        return "no difference shown"
    return "cheaper" if found.high < 0 else "dearer"
