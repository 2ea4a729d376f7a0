"""Runs of a graph against servers that fail in every way, and what becomes of them."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

import psutil

from agentrag.app import Graph
from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import BranchError, ModelError, NodeError, RunError
from agentrag.core.node import ModelSlot, Node
from agentrag.core.ports import ChatModel
from agentrag.core.sizes import Calls, Sizes
from agentrag.core.types import ChatRequest, Message
from agentrag.graph.forms.python import parallel
from agentrag.models.breaker import Breaker
from agentrag.models.fallback import FallbackModel
from agentrag.models.http import HttpPool
from agentrag.models.litellm import LiteLLMModel
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.models.retry import Retries
from agentrag.testing import Reply, StubChatServer, fake_deps

FAILING = 0.3
AT_ONCE = 25
CANCELLED = 0.05
LONGEST = 60.0
"""Seconds after which a run counts as hanging; the longest that its time limits allow is a third of that."""
SCHEMA = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"], "additionalProperties": False}
WHOLE = (
    Reply(status=429),
    Reply(status=429, headers={"Retry-After": "0.02"}),
    Reply(status=500),
    Reply(status=503),
    Reply(fault="hang"),
    Reply(fault="reset"),
    Reply(fault="garbage"),
    Reply(fault="no finish"),
)
STREAMED = (
    *WHOLE,
    Reply("one two three four", fault="half stream"),
    Reply("one two three four", fault="hang mid-stream"),
    Reply("one two three four", fault="stream error"),
)


class Ask(Node):
    """Ask a model: a text, streamed, or where `as_json` a JSON object, whole."""

    channels: ClassVar = {"draft": Channel(str), "year": Channel(str)}

    to: str
    as_json: bool = False
    model: ModelSlot = "writer"

    def writes(self) -> frozenset[str]:
        return frozenset({self.to})

    async def __call__(self, state: State, deps: Deps) -> State:
        request = ChatRequest(
            (Message("user", state["question"]),), 9, temperature=1.0, schema=SCHEMA if self.as_json else None
        )
        completion = await deps.chat(self.model, request, stream_to=None if self.as_json else self.to)
        return {self.to: completion.text}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=2)


GRAPH = Graph(
    "storm",
    nodes={
        "draft": Ask(to="draft", retry=1),
        "year": Ask(to="year", as_json=True, model="gate"),
        "write": Ask(to="answer", retry=2, timeout=10.0),
    },
    flow=[parallel({"text": ["draft"], "number": ["year"]}), "write"],
    inputs={"question": "str"},
    outputs=["answer"],
    models={"writer": "far,near", "gate": "far"},
)


def failing(seed: int) -> Callable[[dict[str, Any]], Reply]:
    """Replies of which so many fail."""
    chance = Random(seed)

    def reply(body: dict[str, Any]) -> Reply:
        if chance.random() < FAILING:
            return chance.choice(STREAMED if body.get("stream") else WHOLE)
        if "response_format" not in body:
            return Reply("one two three four")
        return Reply('{"year": 1969}' if chance.random() < 0.9 else '{"year": "late"}')

    return reply


@dataclass
class Tally:
    """What became of runs.

    Attributes:
        ended: How many ended how: "answer", "cancelled", or the node that failed.
        wrong: Runs that ended in no such way.
        exchanges: How often the servers were asked.
        left: Tasks and file descriptors that are there in the end and were not in the beginning.
    """

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    exchanges: int = 0
    left: tuple[int, int] = (0, 0)


@asynccontextmanager
async def servers(seed: int, tally: Tally, litellm: bool) -> AsyncIterator[dict[str, ChatModel]]:
    """The models of the graph, on two servers that fail; the first one through litellm where that is asked for."""
    async with AsyncExitStack() as stack:
        far, near = [await stack.enter_async_context(StubChatServer(failing(seed + n))) for n in range(2)]
        pool = HttpPool()
        stack.push_async_callback(pool.aclose)

        def model(name: str, server: StubChatServer) -> OpenAIModel:
            endpoint = Endpoint(server.url, name, timeout=0.15, total_timeout=2.0, attempts=3, pause=0.002)
            return OpenAIModel(name, endpoint, pool, Breaker(name, faults=5, seconds=0.05))

        first: ChatModel = model("far", far)
        if litellm:
            retries = Retries(3, 0.002, Breaker("far", faults=5, seconds=0.05))
            first = LiteLLMModel("openai/far", 0.5, 2.0, retries, api_base=far.url, api_key="none")
            stack.push_async_callback(first.aclose)
        yield {"writer": FallbackModel([first, model("near", near)]), "gate": first}
        tally.exchanges = far.count + near.count


async def storm(runs: int, seed: int, litellm: bool = False) -> Tally:
    """Make so many runs, some of which are cancelled, and count what is left of them."""
    chance, tally, at_once = Random(seed), Tally(), asyncio.Semaphore(AT_ONCE // 3 if litellm else AT_ONCE)
    before = held()

    async def one(models: dict[str, ChatModel], patience: float | None) -> None:
        async with at_once:
            tally.ended[await _outcome(models, patience, tally.wrong)] += 1

    async with servers(seed, tally, litellm) as models, asyncio.TaskGroup() as group:
        for _ in range(runs):
            group.create_task(one(models, chance.uniform(0, 0.1) if chance.random() < CANCELLED else None))
    gc.collect()  # litellm forgets a coroutine where a call is cancelled as it begins, of which Python warns
    for _ in range(100):  # sockets are closed a moment after the calls that closed them
        if held() == before:
            break
        await asyncio.sleep(0.02)
    tally.left = held()[0] - before[0], held()[1] - before[1]
    return tally


async def _outcome(models: dict[str, ChatModel], patience: float | None, wrong: list[str]) -> str:
    run = asyncio.create_task(GRAPH.run(fake_deps(model=models), question="When did people first walk on the moon?"))
    await asyncio.wait({run}, timeout=LONGEST if patience is None else patience)
    if not run.done():
        if patience is None:
            wrong.append("it hangs")
        run.cancel()
    try:
        result = await run
        if result["answer"] != "one two three four":
            wrong.append(f"it answers {result['answer']!r}")
        return "answer"
    except asyncio.CancelledError:
        return "cancelled"
    except RunError as error:
        node = error.__cause__ if isinstance(error, BranchError) else error  # a fan-out names its branch, and what failed in it
        if isinstance(node, NodeError) and isinstance(node.__cause__, ModelError) and node.node in str(error).split("'"):
            return f"failed at {node.node}"
        wrong.append(f"it fails with {error!r}")
    except Exception as error:
        wrong.append(f"it fails with {error!r}")
    return "failed otherwise"


def held() -> tuple[int, int]:
    """Tasks of this loop, and open files and connections of this process."""
    return len(asyncio.all_tasks()), psutil.Process().num_fds()
