"""`agentrag runs`: what was recorded of runs, and what can be done with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli import keeping
from agentrag.cli.console import errors, fail, note, pairs, run_async, say, say_json
from agentrag.cli.keeping import JournalOption
from agentrag.cli.options import EveryModelOption, InputOption, JsonOption, ModelsOption, bindings

if TYPE_CHECKING:
    from agentrag.app import Result
    from agentrag.runs import Runs

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at recorded runs, go on with them, replay, fork, export, delete them.",
)
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, a beginning of it, or `last`.")]


class Status(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"


@app.command("list")
def list_runs(
    graph: Annotated[str | None, typer.Option("--graph", "-g", metavar="NAME", help="Only runs of this graph.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only runs that stand so.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """List runs, newest first. A run that was killed still counts as running."""
    with errors():
        # lazy: --help needs none of it
        from agentrag.cli.run_json import run_as_json
        from agentrag.cli.run_tree import run_lines

        found = _runs(journal).list(graph, None if status is None else status.value, limit)
        if as_json:
            say_json([run_as_json(past) for past in found])
        elif not found:
            note("No such run is recorded.")
        else:
            for line in run_lines(found):
                say(line)


@app.command("show")
def show(run: RunArgument, as_json: JsonOption = False, journal: JournalOption = None) -> None:
    """Show a run and its steps.

    The steps are a tree: whom each asked, what that cost, what was decided. A call that was
    reused cost nothing; "in", "cached" and "out" are tokens.
    """
    with errors():
        # lazy: --help needs none of it
        from agentrag.cli.run_json import shown_as_json
        from agentrag.cli.run_tree import shown_lines

        shown = _runs(journal).show(run)
        if as_json:
            say_json(shown_as_json(shown))
            return
        for line in shown_lines(shown):
            say(line)


@app.command("resume")
def resume(
    run: RunArgument,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="[STEP=]TEXT", help="Answer to the open question, or to that of a step. Repeat it."),
    ] = None,
    settle: Annotated[
        list[str] | None,
        typer.Option(
            "--settle",
            metavar="KEY=redo|JSON",
            help="What became of a write in doubt, by its idempotency key: do it again, or its result. Repeat it.",
        ),
    ] = None,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Go on with a run, paying for no call twice.

    A run that waits for a person lists its questions, unless it is given answers. The
    graph, its prompts and its nodes must be those that the run began with.
    """
    answers, settled = _answers(answer or []), _settled(settle or [])

    async def main() -> None:
        from agentrag.cli.results import watched  # lazy: --help needs none of it

        runs = _runs(journal)
        past = runs.find(run)
        name = past.record.run
        result = await watched(
            lambda see: runs.resume(name, answers=answers, settle=settled, on_event=see), quiet=as_json, journal=journal
        )
        if past.status == "finished":
            note(f"run {name} had finished already; these are its outputs")
        _print(result, as_json, saved=past.status != "finished")

    run_async(main)


@app.command("replay")
def replay(run: RunArgument, as_json: JsonOption = False, journal: JournalOption = None) -> None:
    """Repeat a run from its record alone.

    The recorded graph runs again, without any model, collection or network, and
    says the same. The exit code is 1 where an output differs from what was recorded.
    """

    async def main() -> None:
        from pydantic_core import to_json

        from agentrag.cli.results import as_json as to_data
        from agentrag.cli.results import print_outputs

        replayed = await _runs(journal).replay(run)
        if replayed.differs:
            parts = [
                f"  {name or 'order'}: recorded {to_json(before).decode():.300}, now {to_json(now).decode():.300}"
                for name, (before, now) in replayed.differs.items()
            ]
            raise fail("\n".join([f"the replay of run {replayed.result.run} is not what was recorded", *parts]))
        if as_json:
            say_json(to_data(replayed.result))
        else:
            print_outputs(replayed.result)

    run_async(main)


@app.command("fork")
def fork(
    run: RunArgument,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NODE.SETTING=VALUE", help="Another setting of a node. Repeat it.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", "-g", metavar="GRAPH", help="Another graph: its path or name.")
    ] = None,
    inputs: InputOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="STEP", help="Make all calls again from this step on: its path, or the name of a node."),
    ] = None,
    every: EveryModelOption = None,
    models: ModelsOption = None,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Run a varied copy of a run.

    Only calls that the run did not make are made and paid. Without --graph
    it takes the run's graph as it is now.
    """
    given, slots, values = pairs(inputs or [], "--input"), bindings(every, models), _settings(settings or [])

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.cli.inputs import typed
        from agentrag.cli.results import watched
        from agentrag.runs import Changes

        runs = _runs(journal)
        parent = runs.find(run).record
        agent = Changes(settings=_values(values), graph=graph).graph_for(parent)
        changes = Changes(graph=agent, inputs=typed(agent.spec, given), models=slots, at=at)
        result = await watched(lambda see: runs.fork(parent.run, changes, see), quiet=as_json, journal=journal)
        note(f"run {result.run}, forked from {parent.run}")
        _print(result, as_json, saved=True, parent=parent.run)

    run_async(main)


app.command("export")(keeping.export)
app.command("prune")(keeping.prune)


def _print(result: Result, as_json: bool, *, saved: bool, **more: str) -> None:
    from agentrag.cli.results import as_json as to_data
    from agentrag.cli.results import note_saved, print_outputs

    if as_json:
        from pydantic_core import to_jsonable_python

        say_json({**to_data(result), "saved": to_jsonable_python(result.saved), **more})
    else:
        print_outputs(result)
    if saved:
        note_saved(result)


def _runs(journal: Path | None) -> Runs:
    from agentrag.runs import Runs  # lazy: --help needs none of it

    return Runs(journal=journal)


def _answers(items: list[str]) -> dict[str, str]:
    """Answers by step; "" stands for that of the open question."""
    answers: dict[str, str] = {}
    for item in items:
        step, _, text = item.partition("=") if item.startswith("flow.") and "=" in item else ("", "", item)
        if step in answers:
            raise fail(f"--answer was given twice for {step or 'the open question'}; STEP=TEXT names the step", 2)
        answers[step] = text
    return answers


def _settled(items: list[str]) -> dict[str, Any]:
    import json  # lazy: only --settle needs it

    decided: dict[str, Any] = {}
    for key, text in pairs(items, "--settle").items():
        try:
            decided[key] = {"redo": True} if text == "redo" else {"result": json.loads(text)}
        except ValueError:
            raise fail(f"--settle takes KEY=redo or KEY=JSON; '{text}' is neither", 2) from None
    return decided


def _settings(items: list[str]) -> dict[str, str]:
    given = pairs(items, "--set")
    for name in given:
        if not all(name.partition(".")):
            raise fail(f"--set takes NODE.SETTING=VALUE, not '{name}={given[name]}'", 2)
    return given


def _values(given: dict[str, str]) -> dict[str, Any]:
    from agentrag.core.located import load_yaml  # lazy: brings ruamel

    return {name: load_yaml(text, f"--set {name}").data for name, text in given.items()}
