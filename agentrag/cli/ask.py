"""`agentrag ask`: one question, one cited answer."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrag.cli.budgets import BudgetOption, budget
from agentrag.cli.console import fail, pairs, run_async, say_json
from agentrag.cli.options import (
    CollectionOption,
    EveryModelOption,
    GraphOption,
    InputOption,
    JsonOption,
    ModelsOption,
    ThreadOption,
    bindings,
    collections,
)


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    collection: CollectionOption = None,
    graph: GraphOption = "ask",
    every: EveryModelOption = None,
    models: ModelsOption = None,
    inputs: InputOption = None,
    limits: BudgetOption = None,
    thread: ThreadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from your documents, citing them.

    Citations are numbered, and each was checked against the text that it names.
    Where the documents do not answer the question, "not in the documents" is printed and the exit code is 0 too.
    """
    slots, named, given, most = bindings(every, models), collections(collection), pairs(inputs or [], "--input"), budget(limits)
    if not question.strip():
        raise fail("the question is empty", 2)
    if "question" in given:
        raise fail("the question is the argument; --input question=... would be a second one", 2)

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.app import Graph
        from agentrag.cli import answers
        from agentrag.cli.budgets import note_budget
        from agentrag.cli.inputs import typed
        from agentrag.cli.results import watched
        from agentrag.threads import run_in

        agent = Graph.load(graph)
        values = typed(agent.spec, {"question": question, **given})
        arguments = {"models": slots, "collections": named, "budget": most, **values}
        result = await watched(lambda see: run_in(thread, agent, on_event=see, **arguments), quiet=as_json)
        if as_json:
            say_json(answers.as_json(result))
            return
        answers.print_answer(result)
        note_budget(result)
        answers.note_cost(result)

    run_async(main)
