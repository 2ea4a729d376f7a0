"""Widen a query by words of what it found. Idea: pseudo-relevance feedback, Rocchio 1971."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from agentrag import Node, node
from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps

_WORD = re.compile(r"[^\W\d_]{4,}")


@node("example.feedback")
class Feedback(Node):
    """Add to the question the commonest words of the passages that it does not have.

    Reads `question` and, where something was found, `passages`; writes `widened`. Cost: none.
    """

    channels: ClassVar[Mapping[str, Channel]] = {
        "widened": Channel(str, untrusted=True, about="the question with words of what it found"),
    }
    words: int = Field(3, ge=1, le=20, description="at most so many words are added")

    def reads(self) -> frozenset[str]:
        return frozenset({"question"})

    def writes(self) -> frozenset[str]:
        return frozenset({"widened"})

    async def __call__(self, state: State, deps: Deps) -> State:
        known = set(_WORD.findall(state["question"].lower()))
        found = Counter(word for passage in state.get("passages", ()) for word in _WORD.findall(passage.text.lower()))
        new = sorted((word for word in found if word not in known), key=lambda word: (-found[word], word))
        return {"widened": " ".join([state["question"], *new[: self.words]])}
