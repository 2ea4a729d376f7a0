"""The runs that `benchmarks.durable` compares: the same nodes and the same answers in our graph and in LangGraph's."""

from __future__ import annotations

import operator
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agentrag.app import Graph
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, node
from agentrag.core.ports import OnText
from agentrag.core.sizes import Calls, Sizes
from agentrag.core.types import ChatRequest, Completion, Message, Usage
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing.fakes import fake_deps
from benchmarks.ours import NOTE, graph_of, loop_text, streamed
from benchmarks.peers.work import QUESTION, Run

NODES, ROUNDS, ANSWER = 5, 3, 4000
SAVER = "langgraph-checkpoint-sqlite"


class Pages:
    """A model that at once gives a page of words, each time another one."""

    name = "pages"

    def __init__(self) -> None:
        words = random.Random(7).choices([f"{number:x}" for number in range(4096)], k=ANSWER)
        self._page, self._serial = " ".join(words)[: ANSWER - 8], count()

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Give the next page."""
        return Completion(f"{next(self._serial):08}{self._page}", usage=Usage(1, 20, 1000), model=self.name)

    async def aclose(self) -> None:
        """Nothing is held."""


def request_after(text: str) -> ChatRequest:
    """What a node asks; it depends on the page before, so that no call is answered from an equal one."""
    return ChatRequest((Message("user", f"{QUESTION} After {text[:8]}?"),), max_tokens=1024)


@node("benchmark.page")
class Page(Node):
    """Asks a model for a page. `after` is the channel of the page before."""

    after: str

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"answer": (await deps.chat("default", request_after(state.get(self.after, "")))).text}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1, prompt=100, completion=1024)


def page_graph() -> Graph:
    """Our graph whose nodes each write a page to a channel of their own; the last one to `answer`."""
    targets = [*(f"text{number}" for number in range(NODES - 1)), "answer"]
    nodes = [
        f"use: benchmark.page, after: {before}, out: {{answer: {target}}}"
        for before, target in zip([targets[-1], *targets], targets, strict=False)
    ]
    return graph_of(loop_text(nodes, ROUNDS, f"{{{', '.join(f'{name}: {{type: str}}' for name in targets[:-1])}}}"))


class Replaced(TypedDict, total=False):
    """State of the LangGraph graph whose nodes each have a channel of their own."""

    question: str
    round: int
    text0: str
    text1: str
    text2: str
    text3: str
    text4: str


class Added(TypedDict, total=False):
    """State of the LangGraph graph whose nodes add to one list."""

    question: str
    round: int
    texts: Annotated[list[str], operator.add]


def langgraph_builder(state: type, write: Callable[[int, str], dict[str, Any]], model: Pages | None) -> Any:
    """LangGraph's graph: a node per step and an edge back; `write` says what a node returns of its text."""

    def step(number: int) -> Any:
        async def run(state: Any) -> Any:
            text = (await model.complete(request_after(""))).text if model else state["question"]
            ended = {"round": state["round"] + 1} if number == NODES - 1 else {}
            return write(number, text) | ended

        return run

    names = [f"n{number}" for number in range(NODES)]
    builder: Any = StateGraph(state).add_sequence([(name, step(number)) for number, name in enumerate(names)])
    builder.add_edge(START, names[0])
    return builder.add_conditional_edges(names[-1], lambda state: END if state["round"] >= ROUNDS else "n0", ["n0", END])


@asynccontextmanager
async def ours(graph: Graph, path: Path) -> AsyncIterator[Run]:
    """Our runs, recorded in a file."""
    journal = SqliteJournal(path)
    try:
        yield streamed(graph, fake_deps(model=Pages()), lambda: journal)
    finally:
        journal.close()


@asynccontextmanager
async def ours_forgotten(graph: Graph, path: Path) -> AsyncIterator[Run]:
    """Our runs, recorded nowhere."""
    yield streamed(graph, fake_deps(model=Pages()))


@asynccontextmanager
async def langgraph_saved(builder: Any, path: Path) -> AsyncIterator[Run]:
    """LangGraph's runs, each a thread of the saver in a file, its settings as they come."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # lazy: may not be installed

    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        compiled = builder.compile(checkpointer=saver)

        async def run() -> object:
            config = {"configurable": {"thread_id": secrets.token_hex(8)}}
            return await compiled.ainvoke({"question": QUESTION, "round": 0}, config)

        yield run


@asynccontextmanager
async def langgraph_forgotten(builder: Any, path: Path) -> AsyncIterator[Run]:
    """LangGraph's runs without a saver."""
    compiled = builder.compile()
    yield lambda: compiled.ainvoke({"question": QUESTION, "round": 0})


def durable_ways() -> tuple[dict[str, Callable[[Path], AbstractAsyncContextManager[Run]]], tuple[str, ...]]:
    """All ways by what they are, and what is not installed."""
    empty = graph_of(loop_text([f"use: {NOTE}"] * NODES, ROUNDS))
    nothing = langgraph_builder(Replaced, lambda number, text: {f"text{number}": text}, None)
    replaced = langgraph_builder(Replaced, lambda number, text: {f"text{number}": text}, Pages())
    added = langgraph_builder(Added, lambda _, text: {"texts": [text]}, Pages())
    ways: dict[str, Callable[[Path], AbstractAsyncContextManager[Run]]] = {
        "agentrag, nothing in the nodes": partial(ours_forgotten, empty),
        "agentrag, journal, nothing in the nodes": partial(ours, empty),
        "langgraph, nothing in the nodes": partial(langgraph_forgotten, nothing),
        "agentrag, 4 kB a node": partial(ours_forgotten, page_graph()),
        "agentrag, journal, 4 kB a node": partial(ours, page_graph()),
        "langgraph, 4 kB a node": partial(langgraph_forgotten, replaced),
    }
    if find_spec("langgraph.checkpoint.sqlite") is None:
        return ways, (SAVER,)
    saved: dict[str, Callable[[Path], AbstractAsyncContextManager[Run]]] = {
        "langgraph, saver, nothing in the nodes": partial(langgraph_saved, nothing),
        "langgraph, saver, 4 kB a node, channels replaced": partial(langgraph_saved, replaced),
        "langgraph, saver, 4 kB a node, one list added to": partial(langgraph_saved, added),
    }
    return ways | saved, ()
