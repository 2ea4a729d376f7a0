"""`agentrag runs`: what was recorded of runs, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli import keeping, pauses
from agentrag.cli.console import errors, fail, note, pairs, redactor, run_async, say, say_json
from agentrag.cli.history import history
from agentrag.cli.keeping import JournalOption, RunArgument
from agentrag.cli.options import EveryModelOption, InputOption, JsonOption, ModelsOption, ThreadOption, bindings
from agentrag.cli.pauses import print_result

if TYPE_CHECKING:
    from agentrag.core.errors import Question
    from agentrag.graph.spec import GraphSpec
    from agentrag.runs import Runs

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at recorded runs, go on with them, replay, fork, export, delete them.",
)


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
    thread: ThreadOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """List runs, newest first, with the questions of those that wait for a person.

    A run whose process was killed is shown as killed; --status running finds it.
    """
    with errors():
        # lazy: --help needs none of it
        from agentrag.cli.run_json import run_as_json
        from agentrag.cli.run_tree import run_lines
        from agentrag.cli.shown import blanked_past, blanked_questions

        runs = _runs(journal)
        found = runs.list(graph, None if status is None else status.value, limit, thread)
        waiting = [past.record.run for past in found if past.waits and not past.damage]
        questions = dict(_questions(runs, waiting))
        if as_json:
            say_json(redactor().data([run_as_json(past, questions.get(past.record.run, {})) for past in found]))
        elif not found:
            note("No such run is recorded.")
        else:
            blank = redactor()
            asked = {run: blanked_questions(open_now, blank) for run, open_now in questions.items()}
            for line in run_lines([blanked_past(past, blank) for past in found], asked):
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
        from agentrag.cli.shown import blanked_run

        shown = _runs(journal).show(run)
        if as_json:
            say_json(redactor().data(shown_as_json(shown)))
            return
        for line in shown_lines(blanked_run(shown, redactor())):
            say(line)


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
        list[str] | None,
        typer.Option("--set", metavar="[GRAPH/]NODE.SETTING=VALUE", help="Another setting of a node. Repeat it."),
    ] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", "-g", metavar="GRAPH", help="Another graph: its path or name.")
    ] = None,
    inputs: InputOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="STEP", help="Make all calls again from this step on: its path, or the name of a node."),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(
            "--edit",
            metavar="CHANNEL=VALUE",
            help="A channel that takes another value before the step of --at; then only what differs is made again. Repeat it.",
        ),
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
    edits = pairs(edit or [], "--edit")
    if edits and at is None:
        raise fail("--edit goes with --at STEP, which says before which step", 2)

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.cli.inputs import typed
        from agentrag.cli.results import watched
        from agentrag.runs import Changes

        runs = _runs(journal)
        parent = runs.find(run).record
        agent = Changes(settings=_values(values), graph=graph).graph_for(parent)
        edited = _edits(agent.spec, runs.step(parent.run, at), edits) if at and edits else {}
        changes = Changes(graph=agent, inputs=typed(agent.spec, given), models=slots, at=at, edits=edited)
        result = await watched(lambda see: runs.fork(parent.run, changes, see), quiet=as_json, journal=journal)
        note(f"run {result.run}, forked from {parent.run}")
        print_result(result, as_json, saved=True, parent=parent.run)

    run_async(main)


app.command("answer")(pauses.answer)
app.command("resume")(pauses.resume)
app.command("history")(history)
app.command("export")(keeping.export)
app.command("prune")(keeping.prune)
app.command("check")(keeping.check)


def _questions(runs: Runs, waiting: list[str]) -> Iterator[tuple[str, Mapping[str, Question]]]:
    """Yield the open questions of runs; of one whose record is damaged, `runs show` tells that."""
    from agentrag.core.errors import StoreError  # lazy: --help needs none of it

    for run in waiting:
        with suppress(StoreError):
            yield run, runs.questions(run)


def _runs(journal: Path | None) -> Runs:
    from agentrag.runs import Runs  # lazy: --help needs none of it

    return Runs(journal=journal)


def _settings(items: list[str]) -> dict[str, str]:
    given = pairs(items, "--set")
    for name in given:
        if not all(name.partition(".")):
            raise fail(f"--set takes NODE.SETTING=VALUE, not '{name}={given[name]}'", 2)
    return given


def _values(given: dict[str, str]) -> dict[str, Any]:
    from agentrag.core.located import load_yaml  # lazy: brings ruamel

    return {name: load_yaml(text, f"--set {name}").data for name, text in given.items()}


def _edits(spec: GraphSpec, step: str, given: dict[str, str]) -> dict[str, Any]:
    """Values of channels from texts: of those that hold no text, as JSON."""
    import json  # lazy: only --edit needs it

    from agentrag.graph.recorded.edits import edited_channels

    kinds = dict(edited_channels(spec, step))
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = text if kinds.get(name, str) is str else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise fail(f"channel '{name}' takes JSON; '{text}' is none: {error}", 2) from error
    return values
