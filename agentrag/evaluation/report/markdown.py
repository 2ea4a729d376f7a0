"""The report as Markdown: the tables and sentences of the page, and the numbers of its charts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentrag.evaluation.comparing.wording import markdown_of
from agentrag.evaluation.report.calibration import Calibration
from agentrag.evaluation.report.content import Report, Run
from agentrag.evaluation.report.scatter import Scatter
from agentrag.evaluation.report.standing import Group, Standing, explained
from agentrag.evaluation.report.tables import (
    Table,
    calibration_event,
    calibration_sentence,
    calibration_table,
    table,
    tradeoff_table,
)

_MARKUP = re.compile(r"([\\`*_\[\]<>|&~#$])")


def markdown(report: Report) -> str:
    """The report as Markdown, with a line end at its end; equal reports give equal texts."""
    return "\n\n".join(_blocks(report)) + "\n"


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.title)}"
    for run in report.runs:
        yield from _head(run)
    yield from _listed(report.warnings)
    yield "## Metrics"
    yield escaped(" ".join(explained(len(report.runs), compared=report.comparison is not None)))
    for group in report.groups:
        yield f"### {group.title}"
        yield _table(_metrics(group, report.runs))
    yield from _comparison(report)
    for found in report.tradeoffs:
        yield f"## {escaped(f'{found.quality} against {found.cost}')}"
        yield _table(tradeoff_table(found))
        if found.left_out:
            yield f"Without {escaped(', '.join(found.left_out))}, which has not both numbers."
    for calibration in report.calibrations:
        yield from _calibration(calibration)
    yield from _again(report)
    for run in report.runs:
        yield f"## Questions of {escaped(run.name)}"
        yield _table(run.questions)
        if run.questions.more:
            yield f"{run.questions.more:,} more questions are not shown; the run folder has them."


def _head(run: Run) -> Iterator[str]:
    yield f"## {escaped(run.name)}"
    yield from _listed([f"{what}: {value}" for what, value in run.facts.items()])
    yield from _listed([*run.warnings, *(f"failed: {name}: {reason}" for name, reason in run.failed.items())])


def _metrics(group: Group, runs: Sequence[Run]) -> Table:
    head = ["metric", "n", *(column for run in runs for column in (run.name, "95 % interval"))]
    return table(head, [_row(row) for row in group.rows])


def _row(row: Standing) -> list[str]:
    cells = [row.unit.title(row.metric.name), "" if row.n is None else f"{row.n:,}"]
    for number, value in enumerate(row.values):
        if value is None:
            cells += ["–", ""]
        else:
            best = " (best)" if row.best == number else ""
            cells += [row.unit.shown(value.mean) + best, row.told(number)]
    return cells


def _comparison(report: Report) -> Iterator[str]:
    if report.refused:
        yield f"The runs cannot be compared. {escaped(report.refused)}"
    if report.comparison is None:
        return
    yield markdown_of(report.comparison).rstrip("\n")
    if report.scatters:
        yield "### Question by question"
        yield _table(
            table(["metric", "run", "baseline", "higher", "lower", "the same"], _counts(report.scatters), ["baseline"])
        )


def _counts(scatters: Sequence[Scatter]) -> list[list[str]]:
    return [
        [found.metric, found.system, found.baseline, f"{found.rose:,}", f"{found.fell:,}", f"{found.same:,}"]
        for found in scatters
    ]


def _calibration(found: Calibration) -> Iterator[str]:
    yield f"## Calibration of {escaped(f'{found.channel} of {found.run}')}"
    yield escaped(" ".join([calibration_event(found), *found.notes, calibration_sentence(found)]))
    if found.bins:
        yield _table(calibration_table(found))


def _again(report: Report) -> Iterator[str]:
    yield "## Commands and environment"
    for run in report.runs:
        yield f"### {escaped(run.name)}"
        yield _fenced(run.command) if run.command else "No command is known: the ranking came from elsewhere."
        if run.usage.rows:
            yield _table(run.usage)
    yield "### Versions, hashes, models"
    yield _table(report.environment)


def _table(found: Table) -> str:
    lines = [f"| {' | '.join(map(escaped, row))} |" for row in (found.head, *found.rows)]
    rule = f"|{'|'.join(':---' if words else '---:' for words in found.texts)}|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _listed(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def _fenced(command: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall(r"`+", command)), default=0) + 1)
    fence = fence if len(fence) >= 3 else "```"
    return f"{fence}bash\n{command}\n{fence}"


def escaped(text: str) -> str:
    r"""Text on one line that Markdown shows as it is.

    >>> print(escaped("a_b | <i>"))
    a\_b \| \<i\>
    """
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
