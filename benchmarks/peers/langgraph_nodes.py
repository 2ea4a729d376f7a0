"""LangGraph: a node per step and a conditional edge back; and one node that holds everything."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from benchmarks.peers import plain
from benchmarks.peers.work import QUESTION, Run, Work


class State(TypedDict, total=False):
    """State of both graphs; `round` counts the rounds that ended."""

    question: str
    answer: str
    round: int


def run_of(work: Work) -> Run:
    """The work in a `StateGraph` with a node per step."""
    graph = builder_of(work).compile()

    async def run() -> object:
        state = await graph.ainvoke({"question": QUESTION, "round": 0}, {"recursion_limit": work.steps + 1})
        return state["answer"]

    return run


def builder_of(work: Work) -> Any:
    """The graph with a node per step, not yet compiled."""

    async def node(state: State) -> State:
        await work.body()
        return {"answer": state["question"]}

    async def last(state: State) -> State:
        await work.body()
        return {"answer": state["question"], "round": state["round"] + 1}

    def onward(state: State) -> str:
        return END if state["round"] >= work.rounds else "n0"

    names = [f"n{number}" for number in range(work.nodes)]
    builder = StateGraph(State).add_sequence([*((name, node) for name in names[:-1]), (names[-1], last)])
    return builder.add_edge(START, "n0").add_conditional_edges(names[-1], onward, ["n0", END])


def bare_run_of(work: Work) -> Run:
    """The work in plain asyncio inside one LangGraph node: what the boundary alone costs."""
    inside = plain.run_of(work)

    async def everything(state: State) -> Any:
        return {"answer": await inside()}

    graph = StateGraph(State).add_node("all", everything).add_edge(START, "all").add_edge("all", END).compile()

    async def run() -> object:
        return (await graph.ainvoke({"question": QUESTION}))["answer"]

    return run
