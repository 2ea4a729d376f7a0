"""`agentrag eval`: how well a graph or a plain retriever does on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import err, fail, note, pairs, run_async, say, say_json
from agentrag.cli.evaluated import find_run, show
from agentrag.cli.ingest import progress_bar
from agentrag.cli.options import EveryModelOption, InputOption, JsonOption, ModelsOption, bindings

if TYPE_CHECKING:
    from agentrag.evaluation.asking.ask import Outcome
    from agentrag.evaluations import Evaluation, Watch

REGRESSED = 3
"""Exit code where a regression was to be an error."""
_SILENCE = 30.0
"""Seconds between lines of progress where nobody watches a bar."""


class Part(StrEnum):
    """Which questions of a data set."""

    TUNE = "tune"
    REPORT = "report"
    ALL = "all"


class Recorded(StrEnum):
    """What was written for queries before; see the nodes `*.recorded`."""

    REFORMULATION = "reformulation"
    DECOMPOSITION = "decomposition"
    REQUEST = "request"


class FailOn(StrEnum):
    """What makes an evaluation with a baseline end with exit code 3."""

    REGRESSION = "regression"


def evaluate(
    system: Annotated[
        str | None,
        typer.Argument(metavar="[GRAPH|RETRIEVER]", help="A graph (name or path), or bm25, bm25-plain, dense, rrf or convex."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of the data set.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Whose judgements, in folders of BEIR.  [default: test]")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help="Only queries whose field says so. Repeat it to narrow further."),
    ] = None,
    recorded: Annotated[
        Recorded | None, typer.Option("--recorded", help="Only queries for which such outputs are recorded.")
    ] = None,
    half: Annotated[Part, typer.Option("--half", help="Choose settings on `tune`, quote numbers on `report`.")] = Part.ALL,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N by hex digest of the id.")] = None,
    unanswerable: Annotated[
        int, typer.Option("--unanswerable", metavar="N", min=0, help="N questions besides that the corpus cannot answer.")
    ] = 0,
    inputs: InputOption = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="INPUT=FIELD", help="Fill an input from a field of the queries. Repeat it for more."),
    ] = None,
    every: EveryModelOption = None,
    models: ModelsOption = None,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut documents into passages, as BEIR's references.")] = False,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", help="A metric of the ranking, e.g. recall@100. Repeat it; replaces the usual."
        ),
    ] = None,
    cassette: Annotated[
        Path | None, typer.Option("--cassette", metavar="FILE", help="Record every call once; later runs replay it.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Questions in flight.")] = 1,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the run folder is made.")] = None,
    again: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with an evaluation that stopped.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="RUN", help="Compare with an earlier run.")] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit code 3 where the baseline was better by more than chance.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a data set's questions and score what comes of it, each metric with a 95 % bootstrap interval.

    The corpus of the data set becomes a collection once and fills every collection slot of the graph. Answers, ranking,
    scores and all that they depend on are kept in a run folder, for `agentrag compare`, `report` and `score`. A question
    that fails scores 0 and is listed. RUN is a folder, the id of a run, or `last`.
    """
    options: dict[str, Any] = {"split": split, "half": half.value, "limit": limit, "unanswerable": unanswerable, "whole": whole}
    options |= {"where": pairs(where or [], "--where"), "recorded": recorded.value if recorded else None}
    options |= {"inputs": pairs(inputs or [], "--input"), "fields": pairs(fields or [], "--field")}
    options |= {"models": bindings(every, models), "cassette": str(cassette) if cassette else None, "concurrency": concurrency}
    options |= {"metrics": tuple(metrics)} if metrics else {}
    if fail_on and not baseline:
        raise fail("--fail-on needs a --baseline", 2)
    _check(system, data, again, {**options, "output": out})

    async def main() -> None:
        from agentrag.core.settings import load_settings  # lazy: --help needs none of it
        from agentrag.evaluation.evaluation import load_evaluation
        from agentrag.evaluations import evaluate as ask
        from agentrag.evaluations import resume

        settings = load_settings()
        before = load_evaluation(find_run(settings, baseline)) if baseline else None
        with _watched() as watch:
            if again:
                found = await resume(find_run(settings, again), settings=settings, watch=watch)
            else:
                found = await ask(system or "", data or Path(), settings=settings, folder=out, watch=watch, **options)
        lost = _print(found, before, as_json=as_json)
        if lost and fail_on:
            raise SystemExit(REGRESSED)

    run_async(main)


def _check(system: str | None, data: Path | None, again: str | None, options: dict[str, Any]) -> None:
    if again:
        from agentrag.evaluation.setup import Setup  # lazy: --help needs none of it

        unsaid = {**vars(Setup("", "")), "output": None}
        said = [name for name, value in options.items() if value != unsaid[name]]
        beside = "no GRAPH and no --data" if system or data else f"no --{said[0]}" if said else ""
        if beside:
            raise fail(f"--resume takes all it needs from the run: {beside} beside it", 2)
    elif not (system and data):
        raise fail("say what to evaluate, and on what: agentrag eval GRAPH --data DIR", 2)


def _print(found: Evaluation, before: Evaluation | None, *, as_json: bool) -> bool:
    """Show an evaluation; whether it has got worse than the one before."""
    from agentrag.evaluation.comparing.regression import regressions
    from agentrag.evaluation.comparing.wording import text_of
    from agentrag.evaluation.evaluation import compare  # lazy: as above

    if not as_json:
        show(found)
    note(f"run folder: {found.folder}")  # before the comparison, which may find that the two cannot be compared
    compared = compare(before, found) if before else None
    lost = regressions(before, found) if before else []
    if as_json:
        more: dict[str, Any] = {"comparison": compared.as_json()} if compared else {}
        more |= {"regressions": {each.what: each.why for each in lost}} if before else {}
        say_json({**found.as_json(), **more})
    elif compared:
        say()
        say(text_of(compared))
    for each in lost:
        note(f"regression: {each.what}: {each.why}")
    if before and not lost:
        note(f"no regression against {before.folder}")
    return bool(lost)


@contextmanager
def _watched() -> Iterator[Watch]:
    """Show on standard error how it goes; where an evaluation is stopped, say how to go on with it."""
    from agentrag.evaluations import Watch  # lazy: as above

    stopped: list[Path] = []
    with ExitStack() as shown:
        ingesting = shown.enter_context(progress_bar())
        told: list[Callable[[Outcome], None]] = []

        def answered(outcome: Outcome) -> None:
            told[-1](outcome)

        def asking(folder: Path, total: int) -> None:
            shown.close()  # a terminal has one bar at a time
            stopped.append(folder)
            told.append(shown.enter_context(_progress(total)))

        try:
            yield Watch(ingesting, asking, answered)
        except BaseException:
            for folder in stopped:
                note(f"what was answered is kept; go on with: agentrag eval --resume {folder}")
            raise


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar of questions with the failures so far; a plain line every half minute where nobody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as bar:
        task = bar.add_task("", total=total)
        failures = done = 0
        last = monotonic()

        def answered(outcome: Outcome) -> None:
            nonlocal failures, done, last
            failures, done = failures + bool(outcome.error), done + 1
            how = f"{failures} failed" if failures else ""
            bar.update(task, advance=1, description=how)
            if not err().is_terminal and monotonic() - last > _SILENCE:
                last = monotonic()
                note(f"{done} of {total} questions" + (f", {how}" if how else ""))

        yield answered
