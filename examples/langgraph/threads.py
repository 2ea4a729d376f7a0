"""A thread: LangGraph's checkpointer keeps the inputs between turns and waits where the graph asks a person.

Run: python examples/langgraph/threads.py (fakes answer; `async with agentrag.open_deps(graph) as deps` opens real models)
"""

import asyncio

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentrag import Graph, Message, ask_human, choose
from agentrag.nodes.condense import Condense
from agentrag.nodes.evidence import Evidence
from agentrag.nodes.generate import Generate
from agentrag.nodes.retrieve import Retrieve
from agentrag.testing import ScriptedModel, fake_deps, passages

graph = Graph(
    "with-leave",
    inputs={"question": "str", "history": {"type": "history", "default": []}, "ask_first": {"type": "bool", "default": False}},
    outputs=["answer"],
    models={"writer": "default"},
    nodes={
        "condense": Condense(),
        "search": Retrieve(k=2),
        "select": Evidence(query="{standalone}"),
        "write": Generate(prompt="answer/grounded", max_tokens=60),
    },
    flow=[
        "condense",
        "search",
        "select",
        choose({"ask_first": [ask_human("Answer '{standalone}'?", choices=["yes", "no"], out="leave")]}, otherwise=[]),
        "write",
    ],
)


async def main() -> None:
    """Ask two questions in one thread."""
    model = ScriptedModel(["It has six beds.", "How long is the boat Rissa?", "It is nine metres long."])
    deps = fake_deps(model, passages("Lantern House has six beds.", "The boat Rissa is nine metres long."))
    compiled = graph.to_langgraph(InMemorySaver())
    thread: RunnableConfig = {"configurable": {"thread_id": "a reader"}}

    question = "How many beds has Lantern House?"
    waiting = await compiled.ainvoke({"question": question, "ask_first": True}, thread, context=deps)
    print("asked:", waiting["__interrupt__"][0].value)
    first = await compiled.ainvoke(Command(resume="yes"), thread, context=deps)
    print("first:", first["answer"])

    history = [Message("user", question), Message("assistant", first["answer"])]
    waiting = await compiled.ainvoke({"question": "And how long is the boat?", "history": history}, thread, context=deps)
    print("asked:", waiting["__interrupt__"][0].value)  # `ask_first` was kept
    second = await compiled.ainvoke(Command(resume="yes"), thread, context=deps)
    print("second:", second["answer"])


if __name__ == "__main__":
    asyncio.run(main())
