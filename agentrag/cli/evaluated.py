"""Runs of evaluations on the command line: found by name, shown as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import fail, note, say

if TYPE_CHECKING:
    from agentrag.core.settings import Settings
    from agentrag.evaluation.evaluation import Evaluation

MetricOption = Annotated[
    list[str] | None, typer.Option("--metric", metavar="NAME", help="Only this metric. Repeat it for more.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data set of rankings that other tools wrote (files in TREC's form)."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Whose judgements, in folders of BEIR.  [default: test]")]
_LAST = "last"


def find_run(settings: Settings, name: str) -> Path:
    """The folder of a run: a path, the id of one in `<home>/evals`, or "last" for the newest there.

    Raises:
        SystemExit: There is none.
    """
    if Path(name).is_dir():
        return Path(name)
    home = settings.own(settings.home) / "evals"
    runs = sorted(path.parent for path in home.glob("*/run.json"))
    if name == _LAST and runs:
        return runs[-1]
    if (home / name / "run.json").is_file():
        return home / name
    raise fail(f"there is no run '{name}': neither a folder nor one of the {len(runs)} runs in {home}")


def load(names: Sequence[str], data: Path | None, split: str | None, metrics: Sequence[str] | None = None) -> list[Evaluation]:
    """Runs by their names; a file is a ranking of another tool, judged by the data set.

    Args:
        names: As the user gave them.
        data: Folder of the data set of files.
        split: Of BEIR's folders.
        metrics: Of the ranking, in place of those that the runs were scored with.

    Raises:
        SystemExit: A run is not there, or a file is given without its data set.
        DataSetError: A run is damaged.
    """
    from agentrag.core.settings import load_settings  # lazy: --help needs none of it
    from agentrag.evaluation.data.dataset import DataSet
    from agentrag.evaluation.evaluation import load_evaluation, ranked_evaluation

    settings, found = load_settings(), []
    for name in names:
        if Path(name).is_file():
            if data is None:
                raise fail(f"{name} is a file: a ranking is judged by a data set; name it with --data", 2)
            run = ranked_evaluation(Path(name), DataSet(data, split))
        else:
            run = load_evaluation(find_run(settings, name))
        found.append(run.scored_by(metrics) if metrics else run)
    return found


def rankings(metrics: Sequence[str] | None) -> list[str]:
    """Those of the metrics that are of rankings, which are computed for any k; none where none are named."""
    return [name for name in metrics or () if "@" in name or name == "map"]


def show(evaluation: Evaluation) -> None:
    """The metrics as a table, what was paid as another; failures and what was not judged as notes on standard error."""
    from agentrag.evaluation.scoring.metrics import metric  # lazy: as above

    say(f"{'metric':24}{'n':>6}{'mean':>10}   95 % interval")
    for name, value in evaluation.metrics.items():
        if value.high == 0.0 and metric(name).kind == "cost":
            continue
        low, mean, high = (_figure(number) for number in (value.low, value.mean, value.high))
        n = sum(share.whole > 0 for share in evaluation.scores[name].values())
        say(f"{name:24}{n:6,}{mean:>10}   {low} to {high}")
    if evaluation.usage:
        say()
        say(f"{'node':16}{'calls':>8}{'reused':>8}{'prompt tokens':>15}{'generated':>11}{'seconds':>10}{'USD':>9}")
    for node, usage in evaluation.usage.items():
        tokens = f"{usage.prompt_tokens:15,}{usage.completion_tokens:11,}"
        say(f"{node:16}{usage.calls:8,}{usage.reused:8,}{tokens}{usage.seconds:10.1f}{usage.usd:9.4f}")
    if evaluation.unjudged:
        note(f"{evaluation.unjudged} questions have no relevant document: they are in no metric of the ranking")
    for name, reason in evaluation.failed.items():
        note(f"failed: {name}: {reason}")


def _figure(number: float) -> str:
    return f"{number:.3f}" if abs(number) < 100 else f"{number:,.0f}"
