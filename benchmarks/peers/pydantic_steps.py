"""pydantic-graph: a step per node over one mutable state, and a decision that goes back or ends."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from pydantic_graph import GraphBuilder, StepContext, TypeExpression

from benchmarks.peers.work import QUESTION, Run, Work


@dataclass
class State:
    """State of a run; `round` counts the rounds that ended."""

    question: str
    answer: str = ""
    round: int = 0


def run_of(work: Work) -> Run:
    """The work as a graph of the builder."""
    builder: Any = GraphBuilder(state_type=State, output_type=str)

    async def node(context: StepContext[State, None, Any]) -> None:
        await work.body()
        context.state.answer = context.state.question

    async def last(context: StepContext[State, None, Any]) -> Literal["again", "done"]:
        await node(context)
        context.state.round += 1
        return "done" if context.state.round >= work.rounds else "again"

    functions = [*[node] * (work.nodes - 1), last]
    steps = [builder.step(function, node_id=f"n{number}") for number, function in enumerate(functions)]
    back = builder.match(TypeExpression[Literal["again"]]).to(steps[0])
    out = builder.match(TypeExpression[Literal["done"]]).transform(lambda context: context.state.answer).to(builder.end_node)
    builder.add(
        *(builder.edge_from(one).to(other) for one, other in pairwise([builder.start_node, *steps])),
        builder.edge_from(steps[-1]).to(builder.decision().branch(back).branch(out)),
    )
    graph = builder.build()

    async def run() -> object:
        return await graph.run(state=State(QUESTION))

    return run
