"""Which recorded answer a call is answered with. It knows answers by their numbers only; bodies are read when needed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from agentrag.core.calls import OutwardCall

Place = tuple[str, bytes, int]
_ATTEMPT = re.compile(r"~\d+")


class Kept(NamedTuple):
    """A recorded call: its position, what it was, the number of its answer."""

    step: str
    key: bytes
    nth: int
    effect: str
    deterministic: bool
    answer: int


def place_of(call: OutwardCall | Kept) -> Place:
    """Where a call is found again. A write is the same one in every attempt of its step: it must not be made twice.

    >>> place_of(Kept("flow.0:send~2", b"", 0, "write", False, 1))
    ('flow.0:send', b'', 0)
    """
    step = _ATTEMPT.sub("", call.step) if call.effect == "write" else call.step
    return (step, call.key, call.nth)


def covers(cut: str, step: str) -> bool:
    """Whether `step` is the step `cut`, an attempt, a round or an item of it, or inside it.

    >>> [covers("flow.1", step) for step in ("flow.1", "flow.1:a~2", "flow.1.0:b", "flow.1[0].0:b", "flow.10:c")]
    [True, True, True, True, False]
    """
    return step.startswith(cut) and step[len(cut) : len(cut) + 1] in ("", ".", ":", "~", "#", "[")


class Recall:
    """The answers of one run, and those that it may take from its parent.

    Args:
        own: Recorded calls of the run, in the order in which they ended.
        parent: Those of the run it was forked from. Each one answers at most one call, a deterministic one any number.
    """

    def __init__(self, own: Iterable[Kept] = (), parent: Iterable[Kept] = ()) -> None:
        self._places: dict[Place, int] = {}
        self._equal: dict[bytes, int] = {}
        self._inherited = _Inheritance(parent)
        for kept in own:
            self.add(kept, kept.answer)

    def add(self, call: OutwardCall | Kept, answer: int) -> None:
        """Remember that `call` was given this answer."""
        self._places[place_of(call)] = answer
        if call.deterministic:
            self._equal.setdefault(call.key, answer)
        self._inherited.spend(answer)

    def same(self, call: OutwardCall) -> int | None:
        """The answer of the call of the same position."""
        return self._places.get(place_of(call))

    def equal(self, call: OutwardCall) -> int | None:
        """The answer of an equal call of the run, if the call is deterministic."""
        return self._equal.get(call.key) if call.deterministic else None

    def inherited(self, call: OutwardCall) -> int | None:
        """The parent's answer: that of the same position, else the first of an equal call that is not taken yet."""
        return self._inherited.find(call)


class _Inheritance:
    def __init__(self, calls: Iterable[Kept]) -> None:
        self._places: dict[Place, Kept] = {}
        self._equal: dict[bytes, deque[Kept]] = {}
        self._spent: set[int] = set()
        for kept in calls:
            self._places[place_of(kept)] = kept
            self._equal.setdefault(kept.key, deque()).append(kept)

    def spend(self, answer: int) -> None:
        if self._places:
            self._spent.add(answer)

    def find(self, call: OutwardCall) -> int | None:
        if not self._places:
            return None
        same = self._places.get(place_of(call))
        if same is not None and self._is_free(same):
            return same.answer
        waiting = self._equal.get(call.key, deque())
        while waiting and not self._is_free(waiting[0]):
            waiting.popleft()
        return waiting[0].answer if waiting else None

    def _is_free(self, kept: Kept) -> bool:
        return kept.deterministic or kept.answer not in self._spent
