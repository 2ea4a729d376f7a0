"""`agentrag report`: one page about evaluations, to read and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrag.cli.console import errors, fail, note
from agentrag.cli.evaluated import DataOption, MetricOption, SplitOption, load

_FORMS = (".html", ".md")


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="The baseline, then what is compared with it.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where it is written: FILE.html, or FILE.md for Markdown.")
    ],
    metrics: MetricOption = None,
    data: DataOption = None,
    split: SplitOption = None,
) -> None:
    """Write one page about runs: metrics with intervals, comparison, plots of quality and cost, calibration, commands.

    The page needs nothing but itself: no network, no scripts. Equal runs give equal pages. With several runs the others are
    compared with the first. RUN is a run folder, its id, `last`, or with --data a ranking of another tool in TREC's form.
    """
    if output.suffix.lower() not in _FORMS:
        raise fail(f"a report is written as .html or .md, not as '{output.name}'", 2)
    with errors():
        from agentrag.evaluation.report.content import report_on  # lazy: --help needs none of it
        from agentrag.evaluation.report.markdown import markdown
        from agentrag.evaluation.report.page import page

        found = report_on(load(runs, data, split), metrics)
        written = page(found) if output.suffix.lower() == ".html" else markdown(found)
        output.write_text(written, encoding="utf-8", errors="replace", newline="\n")
        note(f"report: {output}")
