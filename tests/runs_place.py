"""A folder with graphs, a model server and a journal, for the tests of recorded runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from agentrag.app import Graph, Result
from agentrag.core.bindings import OpenAICompatible
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import NodeError
from agentrag.core.node import Node, node
from agentrag.core.settings import Settings
from agentrag.runs import Runs
from agentrag.testing.server import Reply, StubChatServer

PROMPT = """\
---
about: the text that a test asks
source: own
version: 1
inputs: {question: data, answer: data}
---
## user
%s: {question} {answer?}
"""
STEPS = """\
agentrag: 1
name: steps
inputs: {question: str, style: {type: str, default: full, values: [full, short]}}
outputs: [answer]
models: {writer: default}
nodes:
  draft: {use: generate, prompt: t/draft}
  revise: {use: generate, prompt: t/revise, temperature: 0.7}
  finish: {use: generate, prompt: t/finish}
flow:
  - draft
  - repeat: {do: [revise], until: "answer == 'enough'", at_most: 2}
  - finish
"""
"""Four calls, one after the other: draft, revise, revise, finish."""
ASKS = """\
agentrag: 1
name: asks
inputs: {question: str}
outputs: [answer, decision]
models: {writer: default}
channels: {decision: {type: str}}
nodes:
  draft: {use: generate, prompt: t/draft}
  finish: {use: generate, prompt: t/finish}
flow:
  - draft
  - ask_human: {question: "Send this? {answer}", choices: [approve, refuse], out: decision}
  - finish
"""


SENDS = """\
agentrag: 1
name: sends
inputs: {question: str}
outputs: [answer]
nodes: {send: {use: r.send}}
flow: [send]
"""
TEXT: TypeAdapter[str] = TypeAdapter(str)


@dataclass
class Place:
    """Where runs are made.

    Attributes:
        failing: The server refuses prompts that begin with one of these words.
        hanging: It never answers prompts that begin with one of these.
    """

    folder: Path
    server: StubChatServer
    failing: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        return self.bound("stub")

    def bound(self, model: str, more: Mapping[str, str] = {}) -> Settings:
        """Settings whose default model is that one of the server; `more` names others."""
        names = {"default": model, **more}
        bindings = {
            name: OpenAICompatible(provider="openai-compatible", url=self.server.url, model=model, price_out=1.0)
            for name, model in names.items()
        }
        return Settings(home=self.folder / "home", cache=self.folder / "cache", models=bindings)

    @property
    def runs(self) -> Runs:
        return Runs(self.settings)

    def write(self, name: str, text: str) -> str:
        """Write a graph and give its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    async def run(self, name: str, text: str, **inputs: Any) -> Result:
        """Write a graph, and run it."""
        graph = Graph.load(self.write(name, text))
        return await graph.run(settings=self.settings, **{"question": "Why?", **inputs})

    def bind(self) -> None:
        """Write a settings file for commands that run in the folder."""
        binding = {"provider": "openai-compatible", "url": self.server.url, "model": "stub", "price_out": 1.0}
        (self.folder / "agentrag.yaml").write_text(json.dumps({"models": {"default": binding}}), encoding="utf-8")

    def asked(self) -> list[str]:
        """First words of the prompts since the last time, in order."""
        words = [word_of(body) for body in self.server.bodies]
        self.server.bodies.clear()
        return words


def word_of(body: dict[str, Any]) -> str:
    """The first word of a request's prompt: which node asks."""
    return str(body["messages"][-1]["content"]).partition(":")[0]


@asynccontextmanager
async def place_in(folder: Path) -> AsyncIterator[Place]:
    """A place whose server answers by the prompt alone."""

    def reply(body: dict[str, Any]) -> Reply:
        word = word_of(body)
        if word in place.failing:
            return Reply(status=400, error=f"no {word} today")
        if word in place.hanging:
            return Reply(fault="hang")
        return Reply(f"{word} {hashlib.sha256(body['messages'][-1]['content'].encode()).hexdigest()[:8]}")

    for word in ("draft", "revise", "finish"):
        path = folder / "prompts" / "t" / f"{word}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROMPT % word, encoding="utf-8")
    async with StubChatServer(reply) as server:
        place = Place(folder, server)
        yield place


async def failed(place: Place, word: str) -> str:
    """Id of a run that failed because the server refused a prompt; it does not any more."""
    place.failing = {word}
    with pytest.raises(NodeError):
        await place.run("graph", STEPS)
    place.failing = set()
    place.asked()
    return place.runs.find("last").record.run


def total(costs: Result) -> tuple[int, int]:
    """Calls paid, calls saved."""
    return sum((u.calls for u in costs.usage.values()), 0), sum((u.calls for u in costs.saved.values()), 0)


class Send(Node):
    """Write `answer` to the world; what it says there is in a file that the test looks into."""

    sent: ClassVar[list[str]] = []
    breaks: ClassVar[bool] = False

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        async def send(key: str) -> str:
            self.sent.append(key)
            if self.breaks:
                raise ConnectionError("no line")
            return "sent"

        return {"answer": await deps.tool("post", {"text": state["question"]}, send, TEXT, "write")}


@contextmanager
def registered(kind: type[Node]) -> Iterator[None]:
    """Register a type of nodes as "r.send" for a while; `Send` begins anew."""
    Send.sent, Send.breaks = [], False
    node("r.send")(kind)
    try:
        yield
    finally:
        del node["r.send"]
