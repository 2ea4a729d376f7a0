"""Channels: the named, typed pieces of a run's state, and the ones that every graph knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agentrag.core.types import Citation, Message, Passage

State = Mapping[str, Any]
OBJECT: Any = dict[str, Any]
"""The type of channels that hold JSON objects."""
Merge = Literal["replace", "append_new"]
MOST_ITEMS = 1000
MOST_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Channel:
    """The declaration of a channel.

    Attributes:
        type: Python type of its values; lists are `list[...]`.
        merge: What a write does: "replace" the value, or "append_new" list items that are not there yet.
        max: Most items that a list channel holds. What is beyond is cut, last items first; of a conversation, oldest first.
            None: `MOST_ITEMS`.
        bytes: Most UTF-8 bytes of a text, or of each item of a list. What is beyond is cut; an input that long is refused.
            An object, which has so many as JSON, cannot be cut: a write of a larger one fails.
        untrusted: Its text came from documents, tools or a model, so it may fill data holes of prompts only.
        about: One line for the reference.
        odds_of: What a number is the log-odds of, natural logarithm: "relevant" (a passage at hand helps), "right" (the
            answer is right); "" where it is none. Evaluations draw how far it can be believed.
    """

    type: Any
    merge: Merge = "replace"
    max: int | None = None
    untrusted: bool = False
    about: str = ""
    bytes: int = MOST_BYTES
    odds_of: Literal["", "relevant", "right"] = ""


STANDARD: Mapping[str, Channel] = {
    "question": Channel(str, about="what the user asked"),
    "history": Channel(list[Message], max=40, untrusted=True, about="earlier turns of the conversation, oldest first"),
    "standalone": Channel(str, untrusted=True, about="the question made self-contained"),
    "contextual": Channel(str, about="the last turn of the user and the question, as they were written"),
    "passages": Channel(list[Passage], max=50, untrusted=True, about="retrieved passages, best first"),
    "evidence": Channel(list[Passage], max=100, untrusted=True, about="slices of passages that bear on the question"),
    "relevance": Channel(float, about="score of the best sentence of the evidence, about 0..1"),
    "answerable": Channel(float, about="log-odds that the passages state the answer", odds_of="relevant"),
    "answer": Channel(str, untrusted=True, about="the answer"),
    "citations": Channel(list[Citation], max=100, untrusted=True, about="verified evidence of the answer"),
    "unsupported": Channel(list[str], max=100, untrusted=True, about="sentences of the answer that nothing supports"),
    "abstained": Channel(bool, about="true when the documents do not answer the question"),
}
"""Channels with a fixed meaning in every graph. A graph's `channels:` adds others."""

INPUT_TYPES: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list[str]": list[str],
    "history": list[Message],
    "object": OBJECT,
}
"""Type names that `inputs:` and `channels:` of a graph file may use."""
