"""What a report says, before it has a form: facts, numbers and sentences of all its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentrag.core.errors import DataSetError, unknown
from agentrag.evaluation.comparing.comparison import compare_systems
from agentrag.evaluation.comparing.results import Comparison, System
from agentrag.evaluation.evaluation import Evaluation, labelled
from agentrag.evaluation.folder.folder import RunFolder
from agentrag.evaluation.report.calibration import Calibration, calibrations
from agentrag.evaluation.report.pareto import Tradeoff, tradeoffs
from agentrag.evaluation.report.scatter import Scatter, scatter
from agentrag.evaluation.report.standing import Group, best_runs, groups, names_of
from agentrag.evaluation.report.tables import Table, environment_table, question_table, usage_table
from agentrag.evaluation.report.units import counted
from agentrag.evaluation.scoring.metrics import metric

_HEADLINES = ("answer", "ranking")
"""Kinds of metrics whose first one is plotted."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is said of a run.

    Attributes:
        number: Its place in the report, from 0.
        facts: What was evaluated on what, by what.
        warnings: Sentences on what must be known before its numbers are quoted.
        failed: Why a question has no answer, by its id.
        command: The command line that asks for it; "" where none is known.
        usage: What was paid, by node.
        questions: A row per question.
    """

    number: int
    name: str
    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    failed: Mapping[str, str]
    command: str
    usage: Table
    questions: Table


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a page shows.

    Attributes:
        comparison: Of all runs with the first; None with a single one, or where they cannot be compared.
        refused: Why they cannot; "" where they can.
        warnings: Sentences on all runs together.
    """

    title: str
    runs: tuple[Run, ...]
    groups: tuple[Group, ...]
    comparison: Comparison | None
    refused: str
    warnings: tuple[str, ...]
    scatters: tuple[Scatter, ...]
    tradeoffs: tuple[Tradeoff, ...]
    calibrations: tuple[Calibration, ...]
    environment: Table


def report_on(evaluations: Sequence[Evaluation], metrics: Sequence[str] | None = None) -> Report:
    """The content of a report.

    Args:
        evaluations: At least one; the others are compared with the first.
        metrics: What is shown, those of rankings with any depth; all that apply where None. Costs are plotted in any case.

    Raises:
        DataSetError: There is no evaluation, one is there twice, or a metric is unknown or no run has it.
    """
    if not evaluations:
        raise DataSetError("A report needs at least one evaluation.")
    only = tuple(dict.fromkeys(metrics or ()))
    runs = labelled([_scored(run, only) for run in evaluations])
    if missing := [name for name in only if not any(name in run.scores for run in runs)]:
        raise DataSetError(unknown("metric", missing[0], names_of(runs)))
    _refuse_twice([run.name for run in runs])
    systems = [_only(run.as_system(), only) for run in runs]
    comparison, refused = _compared(systems)
    best = best_runs(systems, comparison) if comparison else {}
    plotted = list(_headlines(names_of(runs, only)))
    return Report(
        title=_title(runs),
        runs=tuple(_run(number, run, only) for number, run in enumerate(runs)),
        groups=tuple(groups(runs, best, only)),
        comparison=comparison,
        refused=refused,
        warnings=tuple(_common_warnings(runs)),
        scatters=tuple(_scatters(systems, plotted)) if comparison else (),
        tradeoffs=tuple(tradeoffs(plotted, {run.name: run.metrics for run in runs})) if comparison else (),
        calibrations=tuple(each for run in runs for each in calibrations(run)),
        environment=environment_table(runs),
    )


def _refuse_twice(names: Sequence[str]) -> None:
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataSetError(f"Run '{twice[0]}' is there twice: a report could not tell the two apart.")


def _scored(run: Evaluation, only: Sequence[str]) -> Evaluation:
    rankings = [name for name in only if metric(name).kind == "ranking"]
    return run.scored_by(rankings) if rankings else run


def _only(system: System, only: Sequence[str]) -> System:
    return replace(system, scores={name: values for name, values in system.scores.items() if not only or name in only})


def _compared(systems: Sequence[System]) -> tuple[Comparison | None, str]:
    if len(systems) < 2:
        return None, ""
    try:
        return compare_systems(systems), ""
    except DataSetError as error:
        return None, str(error)


def _headlines(names: Sequence[str]) -> Iterator[str]:
    """The first metric of answers and the first of rankings; the first of another kind where there is neither."""
    quality = [name for name in names if metric(name).kind != "cost"]
    chosen = [next((name for name in quality if metric(name).kind == kind), None) for kind in _HEADLINES]
    yield from [name for name in chosen if name] or quality[:1]


def _scatters(systems: Sequence[System], plotted: Sequence[str]) -> Iterator[Scatter]:
    first, *others = systems
    for other in others:
        for name in plotted:
            if name in first.scores and name in other.scores:
                yield scatter(first, other, name)


def _title(runs: Sequence[Evaluation]) -> str:
    names = [run.name for run in runs]
    data = list(dict.fromkeys(_fact(run.about, "data", "name") for run in runs))
    where = f" on {', '.join(filter(None, data))}" if any(data) else ""
    return (names[0] if len(names) == 1 else f"{len(names)} evaluations") + where


def _run(number: int, run: Evaluation, only: Sequence[str]) -> Run:
    facts = {what: value for what, value in _facts(run) if value}
    command = str(run.about.get("command", ""))
    return Run(number, run.name, facts, tuple(_warnings(run)), run.failed, command, usage_table(run), question_table(run, only))


def _facts(run: Evaluation) -> Iterator[tuple[str, str]]:
    about, setup = run.about, run.about.get("setup", {})
    yield "run", run.run if run.run != run.name else ""
    yield (
        "system",
        " ".join(filter(None, (_fact(about, "system", "kind"), _fact(about, "system", "name") or setup.get("system")))),
    )
    yield "data set", " ".join(filter(None, (_fact(about, "data", "name"), setup.get("split"))))
    yield "half", str(setup.get("half", ""))
    yield "questions", f"{run.n:,}" + (f", {_unanswerable(run):,} of them without an answer" if _unanswerable(run) else "")
    yield "models", ", ".join(f"{slot}: {name}" for slot, name in about.get("models", {}).get("names", {}).items())
    yield "inputs", ", ".join(f"{name}={value}" for name, value in setup.get("inputs", {}).items())
    yield "passages", "whole documents" if setup.get("whole") else ""
    yield "begun", str(about.get("created", ""))


def _warnings(run: Evaluation) -> Iterator[str]:
    asked = len(RunFolder(run.folder).queries()) if run.folder else run.n
    if asked > run.n:
        yield f"The evaluation was stopped: {run.n:,} of {counted(asked, 'question')} were asked so far."
    if run.failed:
        yield f"{counted(len(run.failed), 'question')} failed; they count as 0 in the metrics of answers and rankings."
    if run.unjudged:
        yield f"{counted(run.unjudged, 'question has', 'questions have')} no relevant document: in no metric of rankings."
    reused = sum(usage.reused for usage in run.usage.values())
    if reused:
        yield f"{counted(reused, 'call was', 'calls were')} answered from a record; costs are those of when they were made."


def _common_warnings(runs: Sequence[Evaluation]) -> Iterator[str]:
    asked = [frozenset(outcome.query.id for outcome in run.outcomes) for run in runs]
    if len(set(asked)) > 1:
        yield (
            "The runs were not asked the same questions: the table and the plots show each over its own ones, "
            "comparisons only the common ones."
        )


def _unanswerable(run: Evaluation) -> int:
    return sum(not outcome.query.gold.answerable for outcome in run.outcomes)


def _fact(about: Mapping[str, Any], part: str, name: str) -> str:
    return str(about.get(part, {}).get(name, ""))
