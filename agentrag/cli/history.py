"""`agentrag runs history`: what the steps of a run wrote, and the state after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import note, redactor, run_async, say, say_json
from agentrag.cli.keeping import JournalOption, RunArgument
from agentrag.cli.options import JsonOption

if TYPE_CHECKING:
    from agentrag.graph.recorded.moments import Moment


def history(
    run: RunArgument,
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="STEP", help="Only this step, with the state after it: its path, or a node's name."),
    ] = None,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Show what each step of a run wrote, in order.

    It is found by running the graph against the record alone: no model is asked and nothing is
    paid. A run that failed, waits or was cancelled is shown as far as its record goes.
    """

    async def main() -> None:
        # lazy: --help needs none of it
        from pydantic_core import to_jsonable_python

        from agentrag.cli.run_tree import value_line
        from agentrag.journal.recall import covers
        from agentrag.journal.steps import node_of
        from agentrag.runs import Runs

        runs = Runs(journal=journal)
        path = None if step is None else runs.step(run, step)
        course = await runs.history(run)
        chosen = [
            moment
            for moment in course.moments
            if path is None or covers(path, moment.step) or step in (moment.node, node_of(moment.step))
        ]
        blank = redactor()

        def data(values: Mapping[str, Any]) -> dict[str, Any]:
            return dict(blank.data(to_jsonable_python(dict(values), serialize_unknown=True)))

        ended = blank.text(course.ended)
        if as_json:
            say_json({"start": data(course.start), "steps": [_as_json(moment, data) for moment in chosen], "ended": ended})
            return
        for moment in chosen:
            say(moment.step + (f" ({moment.node})" if "/" in moment.node else ""))
            for name, value in data(moment.wrote).items():
                say(value_line("  wrote ", name, value))
            for name in moment.lost:
                say(f"  lost  {name}")
            for name, value in data(moment.state).items() if step is not None else ():
                say(value_line("  state ", name, value))
        if ended:
            note(f"Here the record ends: {ended}")

    run_async(main)


def _as_json(moment: Moment, data: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    where = {"step": moment.step, "node": moment.node}
    return {**where, "wrote": data(moment.wrote), "lost": list(moment.lost), "state": data(moment.state)}
