"""Fakes of the ports: deterministic, in memory, quick."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.events import Event
from agentrag.core.ports import ChatModel, Embedder, OnText, Searcher, Vectors
from agentrag.core.prompts import Prompts
from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest, TokenLogprob, Usage
from agentrag.journal.memory import MemoryJournal

Reply = str | Completion | Exception
_WORD = re.compile(r"\w+")


class ScriptedModel:
    """A chat model that gives the replies it was told to give.

    Args:
        replies: What to answer, in order (an exception is raised), or a function of the request.
        logprob: Log-probability of every token, where the request asks for log-probabilities.

    Attributes:
        requests: Every request, in order.

    >>> import asyncio
    >>> from agentrag.core.types import Message
    >>> model = ScriptedModel(["yes"])
    >>> asyncio.run(model.complete(ChatRequest((Message("user", "?"),), max_tokens=1))).text
    'yes'
    """

    name = "scripted"

    def __init__(self, replies: Iterable[Reply] | Callable[[ChatRequest], Reply], logprob: float = -0.1) -> None:
        self._replies = replies if callable(replies) else None
        self._queue = iter(()) if callable(replies) else iter(replies)
        self._logprob = logprob
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Give the next reply, word by word where it is streamed.

        Raises:
            ModelError: The script has ended.
        """
        self.requests.append(request)
        reply = self._replies(request) if self._replies else next(self._queue, None)
        if reply is None:
            raise ModelError(f"the script of {len(self.requests) - 1} replies has ended")
        if isinstance(reply, Exception):
            raise reply
        completion = self._completion(request, reply) if isinstance(reply, str) else reply
        if on_text:
            for piece in re.findall(r"\s*\S+|\s+", completion.text):
                on_text(piece)
        return completion

    async def aclose(self) -> None:
        """Nothing is held."""

    def _completion(self, request: ChatRequest, text: str) -> Completion:
        words = text.split()
        prompt = sum(len(message.content.split()) for message in request.messages)
        tokens = (
            tuple(TokenLogprob(word, self._logprob, ((word, self._logprob),)) for word in words) if request.logprobs else ()
        )
        return Completion(text, "stop", Usage(1, prompt, len(words)), tokens, self.name)


class WordEmbedder:
    """Embeds a text as its hashed bag of lower-cased words: texts that share words are near each other."""

    name = "words"
    dimensions = 256

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), 256); rows of length 1."""
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0] = 1e-3  # a text without words has a direction too
            for word in _WORD.findall(text.lower()):
                row[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % self.dimensions] += 1.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


class MemorySearcher:
    """A collection of given passages, ranked by how many of the query's words they hold, ties in the given order."""

    version = "1"

    def __init__(self, passages: Sequence[Passage], name: str = "fake") -> None:
        self.name = name
        self._passages = tuple(passages)

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Return the `request.k` best passages; the score is the share of the query's words that they hold."""
        words = set(_WORD.findall(request.query.lower()))

        def score(passage: Passage) -> float:
            return len(words & set(_WORD.findall(passage.text.lower()))) / max(1, len(words))

        ranked = sorted(self._passages, key=score, reverse=True)[: request.k]
        return [replace(passage, score=score(passage), collection=self.name) for passage in ranked]


def passages(*texts: str) -> list[Passage]:
    """Make passages whose ids, sources and texts are the given texts."""
    return [Passage(id=text, text=text, source=text, start=0, end=len(text)) for text in texts]


def fake_deps(
    model: ChatModel | Mapping[str, ChatModel] | None = None,
    collection: Searcher | Sequence[Passage] = (),
    embedder: Embedder | None = None,
    events: list[Event] | None = None,
) -> Deps:
    """Deps of fakes.

    Args:
        model: Fills the slots `default`, `writer` and `gate`; a mapping fills the slots it names.
        collection: Fills the slot `docs`.
        embedder: For nodes that compare texts; a WordEmbedder where None.
        events: Every event is appended to it.
    """
    chat = model or ScriptedModel([])
    models = chat if isinstance(chat, Mapping) else dict.fromkeys(("default", "writer", "gate"), chat)
    searcher = MemorySearcher(collection) if isinstance(collection, Sequence) else collection
    return Deps(
        models=models,
        collections={"docs": searcher},
        prompts=Prompts(),
        journal=MemoryJournal(),
        embedder=embedder or WordEmbedder(),
        listen=(lambda event: None) if events is None else events.append,
    )
