"""Small nodes for graphs that test the language and not the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.node import CollectionSlot, ModelSlot, Node, PromptName, TemplateText
from agentrag.core.prompts import Prompts
from agentrag.core.rendering import render
from agentrag.core.sizes import Size, Sizes
from agentrag.core.template import Template
from agentrag.core.types import ChatRequest, Message, SearchRequest


@dataclass(frozen=True)
class Gate:
    """What the test node `t.gate` decides."""

    retrieve: bool
    score: float | None = None


class Say(Node):
    """Write a text, with holes filled, to `answer`."""

    text: TemplateText

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"answer": Template(self.text).fill(state, render)}


class Search(Node):
    """Search, like the real node."""

    collection: CollectionSlot = "docs"
    query: TemplateText = "{question}"
    k: int = Field(3, ge=1, le=10)

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"passages": await deps.search(self.collection, SearchRequest(state["question"], self.k))}

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"passages": Size(self.k)}


class Ask(Node):
    """Ask a model with a prompt."""

    prompt: PromptName
    model: ModelSlot = "writer"

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        request = ChatRequest((Message("user", state["question"]),), max_tokens=8)
        return {"answer": (await deps.chat(self.model, request, stream_to="answer")).text}


class AskEach(Ask):
    """Ask with a hole that the node fills itself."""

    fills: ClassVar[frozenset[str]] = frozenset({"passage"})


class Decide(Node):
    """Write a dataclass."""

    channels: ClassVar[Mapping[str, Channel]] = {"gate": Channel(Gate)}
    retrieve: bool = True

    def writes(self) -> frozenset[str]:
        return frozenset({"gate"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"gate": Gate(self.retrieve)}


class OtherDecide(Decide):
    """Declares the channel of another node with another type."""

    channels: ClassVar[Mapping[str, Channel]] = {"gate": Channel(str)}


class Add(Node):
    """Write the given items to the channel `items`."""

    channels: ClassVar[Mapping[str, Channel]] = {"items": Channel(list[str])}
    items: list[str]

    def writes(self) -> frozenset[str]:
        return frozenset({"items"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"items": list(self.items)}


class Write(Node):
    """Say one thing about what it writes and do another."""

    declared: list[str]
    written: dict[str, Any] = Field(default_factory=dict)

    def writes(self) -> frozenset[str]:
        return frozenset(self.declared)

    async def __call__(self, state: State, deps: Deps) -> State:
        return self.written


class Fail(Node):
    """Fail in one of several ways."""

    how: str = "model"

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        if self.how == "model":
            raise ModelError("the server said 429", retryable=True, retry_after=3.0)
        if self.how == "group":
            raise ExceptionGroup("two", [ModelError("the first of two"), ValueError("the second")])
        if self.how == "mutate":
            state["question"] = "changed"  # type: ignore[index]  # what a careless node would do
        raise ZeroDivisionError


class Length(Node):
    """Write the length of the answer to `support`."""

    channels: ClassVar[Mapping[str, Channel]] = {"support": Channel(float)}

    def reads(self) -> frozenset[str]:
        return frozenset({"answer"})

    def writes(self) -> frozenset[str]:
        return frozenset({"support"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"support": float(len(state["answer"]))}


class Best(Node):
    """Keep the first passages."""

    k: int = Field(5, ge=1)

    def reads(self) -> frozenset[str]:
        return frozenset({"passages"})

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"passages": state["passages"][: self.k]}

    def keeps(self) -> Mapping[str, tuple[str, int]]:
        return {"k": ("passages", self.k)}

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"passages": Size(min(self.k, sizes.items("passages")))}


class Slow(Say):
    """Write a text after some time."""

    seconds: float

    async def __call__(self, state: State, deps: Deps) -> State:
        await asyncio.sleep(self.seconds)
        return await super().__call__(state, deps)


PROMPTS = Prompts(Path(__file__).parents[1] / "graphs" / "prompts")
TYPES: dict[str, type[Node]] = {
    "t.say": Say,
    "t.search": Search,
    "t.ask": Ask,
    "t.ask-each": AskEach,
    "t.decide": Decide,
    "t.other-decide": OtherDecide,
    "t.add": Add,
    "t.write": Write,
    "t.fail": Fail,
    "t.length": Length,
    "t.best": Best,
    "t.slow": Slow,
}
