"""The report as one HTML page: nothing is loaded from anywhere, nothing runs, all text is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from agentrag.evaluation.comparing.results import Comparison
from agentrag.evaluation.comparing.wording import parts_of
from agentrag.evaluation.report.charts import calibration_chart, intervals_chart, scatter_chart, tradeoff_chart
from agentrag.evaluation.report.content import Report
from agentrag.evaluation.report.scatter import Scatter
from agentrag.evaluation.report.standing import Standing, explained
from agentrag.evaluation.report.svg import mark, picture
from agentrag.evaluation.report.tables import (
    Table,
    calibration_event,
    calibration_sentence,
    calibration_table,
    differing,
    table,
    tradeoff_table,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its caption, and its numbers as a table where the text of the page does not have them.

    Attributes:
        lead: A sentence before the chart; "" for none.
        warnings: Sentences before the chart on what must be known before it is believed.
    """

    title: str
    chart: Markup
    caption: str
    numbers: Table | None = None
    lead: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the comparison: a title, sentences, a table."""

    level: int
    title: str
    sentences: tuple[str, ...]
    table: Table | None


def page(report: Report) -> str:
    """The report as an HTML document; equal reports give equal pages. Cost: about 1 s for two runs of 1,000 questions."""
    return _template().render(
        report=report,
        legend={run.number: picture(14, 14, "", mark(run.number, 7, 7)) for run in report.runs},
        explained=" ".join(explained(len(report.runs), compared=report.comparison is not None)),
        intervals=lambda standing: _intervals(report, standing),
        sections=list(_sections(report.comparison)) if report.comparison else [],
        scatters=[_scatter(found) for found in report.scatters],
        tradeoffs=list(_tradeoffs(report)),
        calibrations=list(_calibrations(report)),
        differing=differing(report.environment) if len(report.runs) > 1 else frozenset(),
    )


@cache
def _template() -> Template:
    loader = PackageLoader("agentrag.evaluation.report", "")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template("page.html")


def _intervals(report: Report, standing: Standing) -> Markup:
    there = [(run.number, run.name, value) for run, value in zip(report.runs, standing.values, strict=True) if value]
    return intervals_chart(standing.metric.name, standing.unit, there)


def _sections(comparison: Comparison) -> Iterator[Section]:
    for part in parts_of(comparison):
        rows = [tuple(row) for row in part.table]
        found = table(rows[0], rows[1:]) if rows else None
        yield Section(part.level + 1, part.title, tuple(part.sentences), found)


def _scatter(found: Scatter) -> Figure:
    caption = (
        f"A circle for the questions with the same two scores, its area by their number. Above the diagonal: {found.rose:,} "
        f"with a higher score than in {found.baseline}; below: {found.fell:,} with a lower one; on it: {found.same:,}."
    )
    return Figure(f"{found.metric}, {found.system} against {found.baseline}", scatter_chart(found), caption)


def _tradeoffs(report: Report) -> Iterator[Figure]:
    for found in report.tradeoffs:
        caption = "Means with their 95 % intervals. Runs on the line are beaten by no other in both."
        if found.left_out:
            caption += f" Without {', '.join(found.left_out)}, which has not both numbers."
        yield Figure(f"{found.quality} against {found.cost}", tradeoff_chart(found), caption, tradeoff_table(found))


def _calibrations(report: Report) -> Iterator[Figure]:
    for found in report.calibrations:
        yield Figure(
            f"{found.channel} of {found.run}",
            calibration_chart(found),
            calibration_sentence(found),
            calibration_table(found),
            calibration_event(found),
            found.notes,
        )
