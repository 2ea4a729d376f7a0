"""`agentrag score`: the numbers of runs, computed again from what they kept."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrag.cli.console import errors, say, say_json
from agentrag.cli.evaluated import DataOption, SplitOption, load, show
from agentrag.cli.options import JsonOption


def score(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of `agentrag eval`, or rankings in TREC's form.")],
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="A metric of the ranking, e.g. ndcg@3; replaces the usual. Repeat it."),
    ] = None,
    data: DataOption = None,
    split: SplitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score runs again, with other metrics of the ranking where some are named; nothing is asked and nothing paid.

    RUN is a run folder, its id, `last`, or with --data a ranking of another tool in TREC's form.
    """
    with errors():
        found = load(runs, data, split, metrics)
        if as_json:
            say_json([run.as_json() for run in found])
            return
        for place, run in enumerate(found):
            if len(found) > 1:
                say(("" if place == 0 else "\n") + run.run)
            show(run)
