"""One LangGraph node per step: draw the graph, look into its history, edit a channel there and go on.

Run: python examples/langgraph/steps.py (fakes answer; `async with agentrag.open_deps(graph) as deps` opens real models)
"""

import asyncio

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from agentrag import Graph, choose
from agentrag.nodes.abstain import Abstain
from agentrag.nodes.condense import Condense
from agentrag.nodes.evidence import Evidence
from agentrag.nodes.generate import Generate
from agentrag.nodes.retrieve import Retrieve
from agentrag.testing import ScriptedModel, fake_deps, passages

graph = Graph(
    "look-up-or-refuse",
    inputs={"question": "str", "history": {"type": "history", "default": []}},
    outputs=["answer"],
    models={"writer": "default"},
    nodes={
        "condense": Condense(),
        "search": Retrieve(query="{standalone}", k=2),
        "select": Evidence(query="{standalone}"),
        "write": Generate(prompt="answer/grounded", max_tokens=60),
        "refuse": Abstain(),
    },
    flow=["condense", "search", "select", choose({"size(evidence) == 0": ["refuse"]}, otherwise=["write"])],
)


async def main() -> None:
    """Run, then go on before the answer with other evidence: nothing before it runs again."""
    model = ScriptedModel(lambda request: "It has nine." if "nine" in request.messages[-1].content else "It has six.")
    deps = fake_deps(model, passages("Lantern House has six beds.", "The lamp burns oil."))
    compiled = graph.to_langgraph(InMemorySaver(), steps=True)
    print(compiled.get_graph().draw_mermaid())

    thread: RunnableConfig = {"configurable": {"thread_id": "1"}}
    outputs = await compiled.ainvoke({"question": "How many beds has Lantern House?"}, thread, context=deps)
    print("answer:", outputs["answer"], f"({len(model.requests)} model calls)")
    history = [state async for state in compiled.aget_state_history(thread)]
    for state in reversed(history):
        print(f"before {', '.join(state.next) or 'nothing'}: {', '.join(state.values)}")

    before_answer = next(state for state in history if state.next == ("write",))
    edited = await compiled.aupdate_state(before_answer.config, {"evidence": passages("Lantern House has nine beds.")})
    outputs = await compiled.ainvoke(None, edited, context=deps)
    print("after the edit:", outputs["answer"], f"({len(model.requests)} model calls)")


if __name__ == "__main__":
    asyncio.run(main())
