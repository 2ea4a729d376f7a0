"""`agentrag runs history`: what the steps of a run wrote, and the state after each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import note, run_async, say, say_json
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
        if as_json:
            say_json({"start": _data(course.start), "steps": [_as_json(moment) for moment in chosen], "ended": course.ended})
            return
        for moment in chosen:
            say(moment.step + (f" ({moment.node})" if "/" in moment.node else ""))
            for name, value in moment.wrote.items():
                say(value_line("  wrote ", name, value))
            for name in moment.lost:
                say(f"  lost  {name}")
            for name, value in moment.state.items() if step is not None else ():
                say(value_line("  state ", name, value))
        if course.ended:
            note(f"Here the record ends: {course.ended}")

    run_async(main)


def _as_json(moment: Moment) -> dict[str, Any]:
    where = {"step": moment.step, "node": moment.node}
    return {**where, "wrote": _data(moment.wrote), "lost": list(moment.lost), "state": _data(moment.state)}


def _data(values: Any) -> Any:
    from pydantic_core import to_jsonable_python

    from agentrag.core.redact import redacted

    return redacted(to_jsonable_python(dict(values), serialize_unknown=True))
