"""Runs a thread that fails inside a loop, and goes on with it from its checkpoints alone.

Run: python -m tests.graph.compile.thread_worker memory|sqlite FOLDER [late]

`late` imports langgraph before agentrag, as programs do that do not begin with us. Prints the outputs and the types of all
that the checkpoints of the thread gave back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

if "late" in sys.argv:
    import langgraph.checkpoint.serde.jsonplus  # noqa: F401

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, NodeError
from agentrag.core.node import Node
from agentrag.core.types import Citation, Message
from agentrag.graph.compile import Compiled, compile_steps
from agentrag.graph.forms.python import FlowStep, choose, repeat, spec_from_python
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.sample_nodes import Ask, Decide, Gate, Search

THREAD: Any = {"configurable": {"thread_id": "1"}}


class Quote(Node):
    """Write what the standard channels hold besides passages."""

    channels: ClassVar[Mapping[str, Channel]] = {"gates": Channel(dict[str, Gate | None])}

    def writes(self) -> frozenset[str]:
        return frozenset({"citations", "gates"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"citations": [Citation(1, "s", None, "", 0, 1, "q")], "gates": {"a": Gate(True), "b": None}}


NODES: dict[str, Node] = {"search": Search(), "decide": Decide(), "quote": Quote(), "ask": Ask(prompt="chat/condense")}
LOOP = repeat(
    ["ask", choose({"novelty(citations) > 0.5": ["search"]}, otherwise=[])],
    until="stable(answer) && stable(passages)",
    at_most=4,
    best_by="size(answer)",
)
FLOW: list[FlowStep] = ["search", "decide", "quote", LOOP]


def compiled(saver: Any) -> Compiled:
    header = {"name": "case", "inputs": {"question": "str", "history": "history"}, "outputs": ["answer", "passages", "gate"]}
    return compile_steps(spec_from_python(header, NODES, FLOW, {"writer": "default"}, {}), saver)


@asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Any]:
    """A checkpointer. Its module is imported here: what matters is which of the two packages was imported first."""
    if kind == "memory":
        yield import_module("langgraph.checkpoint.memory").InMemorySaver()
    else:
        aio = import_module("langgraph.checkpoint.sqlite.aio")
        async with aio.AsyncSqliteSaver.from_conn_string(str(folder / "threads.sqlite")) as saver:
            yield saver


async def main(kind: str, folder: Path) -> None:
    """See above."""
    journal = MemoryJournal()
    async with opened(kind, folder) as saver:
        replies: list[str | Exception] = ["one", "three", ModelError("down"), "two", "three", "x"]
        deps = replace(fake_deps(ScriptedModel(replies), passages("a cat", "dog")), journal=journal)
        given = {"question": "cat", "history": [Message("user", "hi")]}
        try:
            await compiled(saver).ainvoke(given, THREAD, context=deps)
        except NodeError as error:
            print(error)
        outputs = await compiled(saver).ainvoke(None, THREAD, context=deps)
        print(outputs["answer"], len(journal.calls))
        states = [state.values async for state in compiled(saver).aget_state_history(THREAD)]
    print(*sorted({shape(value) for values in states for value in values.values()}))


def shape(value: Any) -> str:
    """Its type, and those inside."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    inside = ",".join(sorted({shape(item) for item in inner}))
    return type(value).__name__ + (f"[{inside}]" if inside else "")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
