"""Our graph as a node of a LangGraph graph: its inputs and outputs are keys of their state.

Run: python examples/langgraph/inside.py (fakes answer; `async with agentrag.open_deps(ours) as deps` opens real models)
"""

import asyncio
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from agentrag import Graph
from agentrag.core.deps import Deps
from agentrag.nodes.condense import Condense
from agentrag.nodes.evidence import Evidence
from agentrag.nodes.generate import Generate
from agentrag.nodes.retrieve import Retrieve
from agentrag.testing import ScriptedModel, fake_deps, passages

ours = Graph(
    "look-up",
    inputs={"question": "str", "history": {"type": "history", "default": []}},
    outputs=["answer"],
    models={"writer": "default"},
    nodes={
        "condense": Condense(),
        "search": Retrieve(k=2),
        "select": Evidence(query="{standalone}"),
        "write": Generate(prompt="answer/grounded", max_tokens=60),
    },
    flow=["condense", "search", "select", "write"],
)


class Mail(TypedDict, total=False):
    """The state of their graph."""

    sender: str
    question: str
    answer: str
    reply: str


def reply(state: Mail) -> Mail:
    """Wrap the answer."""
    return {"reply": f"Dear {state['sender']},\n{state['answer']}"}


builder = StateGraph(Mail, context_schema=Deps)
builder.add_node("look_up", ours.to_langgraph())
builder.add_node("write_reply", reply)
builder.add_edge(START, "look_up")
builder.add_edge("look_up", "write_reply")
builder.add_edge("write_reply", END)
theirs = builder.compile()

if __name__ == "__main__":
    deps = fake_deps(ScriptedModel(["It has six beds."]), passages("Lantern House has six beds."))
    mail: Mail = {"sender": "Ada", "question": "How many beds has Lantern House?"}
    print(asyncio.run(theirs.ainvoke(mail, context=deps))["reply"])
