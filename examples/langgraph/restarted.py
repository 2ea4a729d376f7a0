"""A thread that outlives the process: what was asked before a restart is answered after it.

Run it twice: python examples/langgraph/restarted.py (the first time it asks and ends, the second time it goes on)
"""

import asyncio
import sys
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from agentrag import Graph, ask_human, load_settings, open_checkpointer, open_deps

SCHEMA = {"type": "object", "properties": {"beds": {"type": "integer", "minimum": 1}}, "required": ["beds"]}

graph = Graph(
    "booking",
    inputs={"question": "str"},
    outputs=["form"],
    nodes={},
    flow=[ask_human("For '{question}': what shall be booked?", schema=SCHEMA, out="form")],
)


async def main(answer: dict[str, int]) -> None:
    """Ask, or answer what was asked when this program ran before."""
    thread: RunnableConfig = {"configurable": {"thread_id": "a guest"}}
    settings = load_settings()
    async with open_checkpointer(settings) as saver, open_deps(graph, settings) as deps:
        compiled = graph.to_langgraph(saver)
        waits = (await compiled.aget_state(thread)).next
        given: Any = Command(resume=answer) if waits else {"question": "a room"}
        outputs = await compiled.ainvoke(given, thread, context=deps)
        print("booked:" if waits else "asked:", outputs["form"] if waits else outputs["__interrupt__"][0].value)


if __name__ == "__main__":
    asyncio.run(main({"beds": int(sys.argv[1]) if len(sys.argv) > 1 else 2}))
