"""The tables of a report as texts, for both of its forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.report.calibration import Calibration
from agentrag.evaluation.report.pareto import Tradeoff
from agentrag.evaluation.report.units import Unit, counted, shortened, unit_of
from agentrag.evaluation.scoring.metrics import metric

MOST_ROWS = 2_000
"""Questions that are shown of a run."""

_LONGEST = 300
_ALWAYS = 2  # columns of a question that are there though they are empty: its id and its text
_TOLD_APART = frozenset({"setup", "command", "created", "format", "signals"})
_TEXTS = frozenset(
    {"metric", "verdict", "id", "question", "run", "node", "answer", "golden answers", "what", "on the front", "which"}
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Attributes:
        head: A title for each column.
        rows: As many texts each.
        texts: Whether a column holds words, which stand to the left, and not numbers.
        more: How many rows were left out.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: tuple[bool, ...]
    more: int = 0


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[str] = (), more: int = 0) -> Table:
    """A table; which columns hold words follows from their titles, and from `texts`, the titles of others that do."""
    words = tuple(title in _TEXTS or title in texts for title in head)
    return Table(tuple(head), tuple(map(tuple, rows)), words, more)


def usage_table(evaluation: Evaluation) -> Table:
    """What was paid by each node, over all questions; a dollar has four decimals."""
    head = ["node", "calls", "reused", "prompt tokens", "generated tokens", "seconds", "USD"]
    rows = [
        [
            node,
            f"{usage.calls:,}",
            f"{usage.reused:,}",
            f"{usage.prompt_tokens:,}",
            f"{usage.completion_tokens:,}",
            f"{usage.seconds:,.1f}",
            f"{usage.usd:,.4f}",
        ]
        for node, usage in evaluation.usage.items()
    ]
    return table(head, rows)


def tradeoff_table(found: Tradeoff) -> Table:
    """The points of a plot."""
    unit = unit_of(found.cost, max(point.cost.high for point in found.points))
    rows = [
        [
            point.name,
            Unit().shown(point.quality.mean),
            Unit().interval(point.quality),
            unit.shown(point.cost.mean),
            unit.interval(point.cost),
            "yes" if point.front else "no",
        ]
        for point in found.points
    ]
    return table(["run", found.quality, "95 % interval", unit.title(found.cost), "95 % interval", "on the front"], rows)


def calibration_table(found: Calibration) -> Table:
    """The bins of a curve."""
    rows = [
        [f"{each.n:,}", f"{each.probability:.3f}", f"{each.share.mean:.3f}", f"{each.share.low:.3f} to {each.share.high:.3f}"]
        for each in found.bins
    ]
    return table(["questions", "foretold", "came true", "95 % interval"], rows)


def calibration_event(found: Calibration) -> str:
    """What was foretold, in a sentence."""
    return f"The event that {found.channel} foretells: {found.event}."


def calibration_sentence(found: Calibration) -> str:
    """The numbers of a curve in words."""
    said = [f"The event came true for {found.true:,} of {counted(found.n, 'question')}."]
    if found.ece is not None:
        said.append(
            f"Expected calibration error {found.ece:.3f} over {len(found.bins)} bins of about equal counts; "
            "chance alone keeps it above 0."
        )
    if found.auroc is not None:
        said.append(f"AUROC {found.auroc.mean:.3f}, 95 % interval {found.auroc.low:.3f} to {found.auroc.high:.3f}.")
    elif found.n:
        said.append("AUROC is not defined: the outcome is the same for all.")
    return " ".join(said)


def environment_table(evaluations: Sequence[Evaluation]) -> Table:
    """Versions, hashes, models and other facts, a column per run; "" where a run does not tell."""
    facts = [dict(_flat({key: value for key, value in run.about.items() if key not in _TOLD_APART})) for run in evaluations]
    keys = dict.fromkeys(key for each in facts for key in each)
    rows = [[key, *(each.get(key, "") for each in facts)] for key in keys]
    names = [run.name or run.run for run in evaluations]
    return table(["what", *names], rows, texts=names)


def differing(found: Table) -> frozenset[int]:
    """Which rows of a table of facts do not say the same in all columns."""
    return frozenset(number for number, row in enumerate(found.rows) if len(set(row[1:])) > 1)


def question_table(evaluation: Evaluation, only: Sequence[str] = (), most: int = MOST_ROWS) -> Table:
    """Each question with its golden answers, what was answered, and what it adds to each metric; no column is empty.

    Args:
        evaluation: The run.
        only: Names of the metrics; all where there are none.
        most: Rows that are shown; the others are counted.
    """
    names = [name for name in evaluation.scores if not only or name in only]
    units = {name: unit_of(name, _largest(evaluation, name)) for name in names}
    titles = [unit.title(name) for name, unit in units.items()]
    rows = [_question(evaluation, place, row, units) for place, row in enumerate(evaluation.rows()[:most])]
    head = ["id", "question", "golden answers", "answer", *titles]
    kept = [place for place in range(len(head)) if place < _ALWAYS or any(row[place] for row in rows)]
    filled = [[row[place] for place in kept] for row in rows]
    return table([head[place] for place in kept], filled, more=max(evaluation.n - most, 0))


def _question(evaluation: Evaluation, place: int, row: Mapping[str, Any], units: Mapping[str, Unit]) -> list[str]:
    outcome = evaluation.outcomes[place]
    gold, answered = outcome.query.gold, outcome.answered
    golden = " / ".join(gold.answers) if gold.answerable else "(cannot be answered)"
    said = f"(failed: {outcome.error})" if answered is None else answered.answer or ""
    if answered and answered.abstained:
        said = f"(refused) {said}"
    numbers = ["" if row[name] is None else unit.shown(row[name]) for name, unit in units.items()]
    return [outcome.query.id, *(shortened(text, _LONGEST) for text in (outcome.query.question.text, golden, said)), *numbers]


def _largest(evaluation: Evaluation, name: str) -> float:
    """The largest mean, since single questions may lie far out; only costs are written by it."""
    return evaluation.metrics[name].mean if metric(name).kind == "cost" else 1.0


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested data with their paths."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{before}{key} ")
        else:
            yield f"{before}{key}", str(inner)
