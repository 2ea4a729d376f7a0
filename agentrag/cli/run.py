"""`agentrag run`: any graph, with inputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import pairs, run_async, say, say_json
from agentrag.cli.options import (
    CollectionOption,
    EveryModelOption,
    InputOption,
    JsonOption,
    ModelsOption,
    bindings,
    collections,
)

if TYPE_CHECKING:
    from agentrag.app import Result


def run(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Path of a graph, or name of a shipped one.")],
    inputs: InputOption = None,
    collection: CollectionOption = None,
    every: EveryModelOption = None,
    models: ModelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a graph and print its outputs.

    Values of inputs that are not text are written as in JSON: -i k=3, -i tags='["a", "b"]'.
    """
    slots, named, given = bindings(every, models), collections(collection), pairs(inputs or [], "--input")

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.app import Graph
        from agentrag.cli.answers import Draft
        from agentrag.cli.inputs import typed

        agent = Graph.load(graph)
        values = typed(agent.spec, given)
        if as_json:
            say_json(_as_json(await agent.run(models=slots, collections=named, **values)))
            return
        with Draft() as draft:
            result = await agent.run(models=slots, collections=named, on_event=draft.see, **values)
        _print(result)

    run_async(main)


def _as_json(result: Result) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    usage = to_jsonable_python(result.usage)
    return {"outputs": to_jsonable_python(result.outputs), "usage": usage, "run": result.run}


def _print(result: Result) -> None:
    from pydantic_core import to_json

    from agentrag.cli.answers import note_cost, print_answer

    if "answer" in result.outputs:
        print_answer(result)
    for name, value in result.outputs.items():
        if name not in {"answer", "abstained", "citations"}:
            say(f"{name}: {value if isinstance(value, str) else to_json(value).decode()}")
    note_cost(result)
