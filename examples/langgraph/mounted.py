"""A LangGraph graph as a node of ours: its call is planned, recorded and never made twice.

Run: python examples/langgraph/mounted.py
"""

import asyncio
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from agentrag import Graph, mount
from agentrag.nodes.retrieve import Retrieve
from agentrag.testing import fake_deps, passages


class Texts(TypedDict, total=False):
    """The state of their graph."""

    passages: list[dict[str, str]]
    summary: str


def summarise(state: Texts) -> Texts:
    """The first words of each passage; a real one would call a model."""
    return {"summary": "; ".join(" ".join(passage["text"].split()[:4]) for passage in state["passages"])}


builder = StateGraph(Texts)
builder.add_node("summarise", summarise)
builder.add_edge(START, "summarise")
builder.add_edge("summarise", END)
theirs = builder.compile()

ours = Graph(
    "search-and-sum-up",
    inputs={"question": "str"},
    outputs=["answer"],
    nodes={
        "search": Retrieve(k=2),
        "sum-up": mount(theirs, in_={"passages": "passages"}, out={"summary": "answer"}, name="summarise@1"),
    },
    flow=["search", "sum-up"],
)

if __name__ == "__main__":
    deps = fake_deps(collection=passages("Lantern House has six beds.", "The boat Rissa is nine metres long."))
    result = asyncio.run(ours.run(deps, question="What is known of Lantern House?"))
    print(result["answer"])
    print({node: usage.calls for node, usage in result.usage.items()})
