"""`agentrag run`: any graph, with inputs by name."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrag.cli.budgets import BudgetOption, budget
from agentrag.cli.console import pairs, run_async, say_json
from agentrag.cli.options import (
    CollectionOption,
    EveryModelOption,
    InputOption,
    JsonOption,
    ModelsOption,
    ThreadOption,
    bindings,
    collections,
)


def run(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Path of a graph, or name of a shipped one.")],
    inputs: InputOption = None,
    collection: CollectionOption = None,
    every: EveryModelOption = None,
    models: ModelsOption = None,
    limits: BudgetOption = None,
    thread: ThreadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a graph and print its outputs.

    Values of inputs that are not text are written as in JSON: -i k=3, -i tags='["a", "b"]'.
    """
    slots, named, given, most = bindings(every, models), collections(collection), pairs(inputs or [], "--input"), budget(limits)

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.app import Graph
        from agentrag.cli.inputs import typed
        from agentrag.cli.results import as_json as to_data
        from agentrag.cli.results import print_outputs, watched
        from agentrag.threads import run_in

        agent = Graph.load(graph)
        values = typed(agent.spec, given)
        arguments = {"models": slots, "collections": named, "budget": most, **values}
        result = await watched(lambda see: run_in(thread, agent, on_event=see, **arguments), quiet=as_json)
        if as_json:
            say_json(to_data(result))
        else:
            print_outputs(result)

    run_async(main)
