"""Runs or goes on with a thread whose journal and checkpoints are on disk; the model kills the process at a call.

Run: python -m tests.graph.compile.killed_worker whole|steps FOLDER KILL_AT

Every request that the model answered is a line of `answered` in FOLDER. Prints the outputs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agentrag.core.node import Node
from agentrag.core.types import ChatRequest
from agentrag.graph.compile import compile_graph, compile_steps
from agentrag.graph.forms.python import FlowStep, parallel, repeat, spec_from_python
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.sample_nodes import Ask, Say

THREAD: Any = {"configurable": {"thread_id": "1"}}
HEADER = {
    "name": "case",
    "inputs": {"question": "str", "history": {"type": "history", "default": []}},
    "outputs": ["answer", "question"],
}
NODES: dict[str, Node] = {
    "ask": Ask(prompt="chat/condense", out={"answer": "question"}),
    "other": Ask(prompt="chat/condense"),
    "tell": Say(text="{question}?"),
}
FLOW: list[FlowStep] = ["ask", repeat(["tell", "ask"], at_most=3), parallel({"a": ["ask"], "b": ["other"]}), "tell"]


async def main(form: str, folder: Path, kill_at: int) -> None:
    """See above."""
    log = folder / "answered"
    log.touch()

    def answer(request: ChatRequest) -> str:
        if len(log.read_text().splitlines()) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with log.open("a") as lines:
            lines.write(f"{request.messages[-1].content}\n")
        return request.messages[-1].content + "!"

    journal = SqliteJournal(folder / "journal.sqlite")
    spec = spec_from_python(HEADER, NODES, FLOW, {"writer": "default"}, {})
    async with AsyncSqliteSaver.from_conn_string(str(folder / "threads.sqlite")) as saver:
        compiled = (compile_graph if form == "whole" else compile_steps)(spec, saver)
        begun = (await compiled.aget_state(THREAD)).next
        deps = replace(fake_deps(ScriptedModel(answer)), journal=journal)
        print(await compiled.ainvoke(None if begun else {"question": "q"}, THREAD, context=deps, durability="sync"))
    journal.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
