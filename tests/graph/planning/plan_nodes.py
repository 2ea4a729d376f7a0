"""Nodes, back ends and a clock by which a generated graph does the worst that it may."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, ClassVar, TypeVar

import numpy as np
from pydantic import Field

from agentrag.core.calls import OutwardCall
from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.node import CollectionSlot, ModelSlot, Node, PromptName
from agentrag.core.ports import Codec, OnText, Recorded, Vectors
from agentrag.core.prompts import Prompts
from agentrag.core.sizes import CALL_TOKENS, LEAST, MESSAGE_TOKENS, Calls, Size, Sizes
from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest, Usage
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import fake_deps

T = TypeVar("T")
HEADER = "---\nabout: a\nsource: own\nversion: 1\ninputs: {%s}\n---\n"
PROMPTS = Prompts(
    texts={
        "t/all": HEADER % "question: data, text: data, passages: data, items: data, notes: data, item: data"
        + "## system\nAnswer.\n## user\n{question} {text}\n{passages} {items}\n{notes?} {item?}",
        "t/cited": HEADER % "citations: data" + "## user\n{citations}",
        "t/bare": HEADER % "question: data" + "## user\nIs it so? {question}",
    }
)
ATTEMPTS = 3
"""What the client of the stub model does for one call, at most."""


class Ask(Node):
    """Ask a model `times` times, one call after the other, and write what it said last."""

    prompt: PromptName = "t/all"
    model: ModelSlot = "writer"
    times: int = Field(1, ge=1, le=3)
    max_tokens: int = Field(4, ge=1)
    channels: ClassVar[Mapping[str, Channel]] = {"text": Channel(str, bytes=40, untrusted=True)}

    def writes(self) -> frozenset[str]:
        return frozenset({"text"})

    async def __call__(self, state: State, deps: Deps) -> State:
        messages = deps.prompts[self.prompt].messages(state)
        replies = [await deps.chat(self.model, ChatRequest(messages, self.max_tokens)) for _ in range(self.times)]
        return {"text": replies[-1].text}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1, prompt=sizes.prompt(self.prompt), completion=self.max_tokens) * self.times

    def least(self, sizes: Sizes) -> Calls:
        return replace(self.cost(sizes), completion=self.times)


class Toss(Node):
    """Let the model decide."""

    prompt: PromptName = "t/bare"
    model: ModelSlot = "writer"
    channels: ClassVar[Mapping[str, Channel]] = {"flip": Channel(bool)}

    def writes(self) -> frozenset[str]:
        return frozenset({"flip"})

    async def __call__(self, state: State, deps: Deps) -> State:
        reply = await deps.chat(self.model, ChatRequest(deps.prompts[self.prompt].messages(state), 1))
        return {"flip": reply.text == "yes"}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1, prompt=sizes.prompt(self.prompt), completion=1)


class Find(Node):
    """Search."""

    collection: CollectionSlot = "docs"
    k: int = Field(3, ge=1, le=10)

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"passages": await deps.search(self.collection, SearchRequest(state["question"], self.k))}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(search=1, passages=self.k)

    def least(self, sizes: Sizes) -> Calls:
        return Calls(search=1)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"passages": Size(self.k)}


class Cut(Node):
    """Write the lines of the text as items, or as notes, and embed each text that it sees."""

    to: str = "items"
    channels: ClassVar[Mapping[str, Channel]] = {
        "items": Channel(list[str], bytes=30, max=5, untrusted=True),
        "notes": Channel(list[str], merge="append_new", bytes=30, max=7, untrusted=True),
    }

    def reads(self) -> frozenset[str]:
        return frozenset({"text"})

    def writes(self) -> frozenset[str]:
        return frozenset({self.to})

    async def __call__(self, state: State, deps: Deps) -> State:
        lines = [f"{line}{number}" for number, line in enumerate(state["text"].splitlines() * 3)]
        for text in state.get("items", ()):
            await deps.embed([text])
        return {self.to: lines}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(embed=sizes.items("items"))


class Cautious(Node):
    """Write nothing to the passages: they are limited to none."""

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"passages": []}

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"passages": Size(0)}


class Adversary:
    """Back ends of a run that do what costs most, or least, or anything between, and remember what they did.

    Attributes:
        may_fail: Whether another attempt of the node would follow.
        calls, tokens, passages: What was asked of them, failed calls and attempts of the client included.
    """

    name = "adversary"
    version = "1"
    dimensions = 1

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.temper = self.random.choice(["greedy", "frugal", "moody"])
        self.says_yes = self.random.choice([0.0, 0.5, 1.0])
        self.may_fail = False
        self.calls = self.tokens = self.passages = 0

    def _is_greedy(self) -> bool:
        return self.temper == "greedy" or (self.temper == "moody" and self.random.random() < 0.5)

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer with any text, or fail for a passing reason, or not in time."""
        greedy = self._is_greedy()
        attempts = ATTEMPTS if greedy else 1
        prompt = _tokens(request, greedy)
        completion = request.max_tokens if greedy else 1
        self.calls += attempts
        self.tokens += attempts * (prompt + completion)
        await self._dawdle(greedy)
        if greedy and self.may_fail:
            raise ModelError("the server is busy", retryable=True, retry_after=self.random.choice([300.0, 300.0, None]))
        text = self._text(60 if greedy else 3)
        if request.max_tokens == 1:
            text = "yes" if self.random.random() < self.says_yes else "no"
        return Completion(text, usage=Usage(attempts, attempts * prompt, attempts * completion))

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Find up to k passages that are longer than any bound."""
        greedy = self._is_greedy()
        count = request.k if greedy else self.random.randint(0, request.k)
        self.calls += 1
        self.passages += count
        await self._dawdle(greedy)
        if greedy and self.may_fail:
            raise TimeoutError
        return [Passage(str(self.random.randint(0, 20)), self._text(90), "s", title=self._text(40)) for _ in range(count)]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed nothing."""
        self.calls += 1
        return np.ones((len(texts), 1), dtype=np.float32)

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _dawdle(self, greedy: bool) -> None:
        """Take nearly the 5 s that most nodes have, or more, where that is no end yet."""
        if greedy:
            await asyncio.sleep(60.0 if self.may_fail and self.random.random() < 0.3 else 4.9)

    def _text(self, most: int) -> str:
        pieces = self.random.choice([["<s>"], ["a", "<s>", "ä", "灰", "\n", "\n", " "]])
        return "".join(self.random.choices(pieces, k=most if self.temper == "greedy" else self.random.randint(0, most)))


def _tokens(request: ChatRequest, greedy: bool) -> int:
    """As many as a tokenizer can make of the messages, or as few."""
    sizes = [len(message.content.encode()) for message in request.messages]
    if greedy:
        return sum(sizes) + CALL_TOKENS + MESSAGE_TOKENS * len(sizes)
    return sum(ceil(size / LEAST.token) for size in sizes)


class Answering(MemoryJournal):
    """A journal that knows what a person answered to every question, and tells the adversary which attempts may fail."""

    def __init__(self, adversary: Adversary, retries: Mapping[str, int]) -> None:
        super().__init__()
        self._adversary, self._retries = adversary, retries

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        name, _, attempt = call.step.rpartition(":")[2].partition("~")
        self._adversary.may_fail = int(attempt or 1) <= self._retries[name]
        return await super().call(call, work, codec)

    def settled(self, run: str, step: str) -> Any:
        return {"answer": "<s>" * 40} if step.endswith(".ask_human") else super().settled(run, step)


def adversarial_deps(adversary: Adversary, retries: Mapping[str, int]) -> Deps:
    """Deps whose every call goes to the adversary; `retries` of the nodes by their names."""
    deps = fake_deps(model=adversary, collection=adversary, embedder=adversary)
    return replace(deps, journal=Answering(adversary, retries), prompts=PROMPTS)


class _Skipping(selectors.DefaultSelector):
    """Never waits: it moves the clock on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0 if timeout is not None else None)


class QuickLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time, by a clock of its own."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


class Spend(Node):
    """Make so many calls, or as few as `least`."""

    calls: int = 1
    fewest: int = 1
    channels: ClassVar[Mapping[str, Channel]] = {
        "text": Channel(str, bytes=40, untrusted=True),
        "flip": Channel(bool),
        "items": Channel(list[str], bytes=30, max=5, untrusted=True),
    }

    def writes(self) -> frozenset[str]:
        return frozenset({"text", "flip", "items"})

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(other=self.calls)

    def least(self, sizes: Sizes) -> Calls:
        return Calls(other=self.fewest)
