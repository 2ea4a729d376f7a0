"""`agentrag compare`: whether one run of an evaluation is better than another, and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrag.cli.console import errors, fail, say, say_json
from agentrag.cli.evaluated import DataOption, MetricOption, SplitOption, load, rankings
from agentrag.cli.options import JsonOption


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="The baseline, then what is compared with it.")],
    metrics: MetricOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE.md", help="Write Markdown there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs with the first one, question by question.

    For every metric: the difference with its 95 % bootstrap interval, the p of a permutation test, adjusted by Holm over all
    tests of the comparison, the size of the effect, and the smallest difference that so many questions would show in four of
    five such comparisons. RUN is a run folder, its id, `last`, or with --data a ranking of another tool in TREC's form.
    """
    with errors():
        from agentrag.evaluation.comparing.wording import markdown_of, text_of
        from agentrag.evaluation.evaluation import compare as compared  # lazy: --help needs none of it

        if len(runs) < 2:
            raise fail("a comparison takes two runs or more", 2)
        found = compared(*load(runs, data, split, rankings(metrics)), metrics=metrics)
        if out:
            out.write_text(markdown_of(found), encoding="utf-8")
        if as_json:
            say_json(found.as_json())
        elif not out:
            say(text_of(found))
