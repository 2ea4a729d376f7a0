"""A journal in memory, for tests and for runs whose history nobody needs later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.ports import Codec, Recorded

T = TypeVar("T")


class MemoryJournal:
    """Makes every call and keeps, in `calls`, which calls were made, in order of completion."""

    def __init__(self) -> None:
        self.calls: list[OutwardCall] = []

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Do `work`; see `agentrag.core.ports.Journal`."""
        begun = perf_counter()
        value = await work()
        self.calls.append(call)
        return Recorded(value, perf_counter() - begun, reused=False)

    def close(self) -> None:
        """Nothing is held."""
