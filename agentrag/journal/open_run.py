"""A run that this process works on: what the journal must know of it at every call, kept in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import NamedTuple

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import BudgetError
from agentrag.journal.recall import Place, Recall

Note = tuple[int, int, str, str, str, float]
"""Number of its run, its own number, step, kind, body as JSON, and when it was made."""


class Waiting(NamedTuple):
    """An answer that is not in the file yet; `reused` where it cost nothing."""

    call: OutwardCall
    body: bytes
    seconds: float
    reused: bool


@dataclass(slots=True)
class OpenRun:
    """A run and what is known of it.

    Attributes:
        number: Its number in the file.
        recall: Answers that its calls may be given.
        tenant: Whose run it is.
        seq: Number of its latest call or note.
        settled: What was decided, as JSON by step.
        intents: Idempotency keys of the writes that were begun and have no result, by position.
        doubts: The same of the run it was forked from, by call key.
        loose: It was entered by its first call, and nobody will say how it ended.
        notes: Not yet committed.
        waiting: Answers that were paid for and could not be committed.
        flights: Deterministic calls that are being made, by call key.
        begun: When this process took it up, on the `perf_counter` clock.
    """

    number: int
    recall: Recall
    tenant: str = ""
    seq: int = 0
    settled: dict[str, str] = field(default_factory=dict)
    intents: dict[Place, str] = field(default_factory=dict)
    doubts: dict[bytes, list[str]] = field(default_factory=dict)
    loose: bool = False
    notes: list[Note] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    flights: dict[bytes, Flight] = field(default_factory=dict)
    begun: float = field(default_factory=perf_counter)

    def next_seq(self) -> int:
        """Number for a call or note that ends now."""
        self.seq += 1
        return self.seq


class Flight:
    """A call that is being made while equal ones wait for its answer.

    Attributes:
        landed: Set when the call has ended.
        failure: Why it failed. None where it ended well, and where only who made it is concerned, because it was cancelled
            or its budget did not reach: then one that waits makes it.
    """

    __slots__ = ("_flights", "_key", "failure", "landed")

    def __init__(self, flights: dict[bytes, Flight], key: bytes) -> None:
        self._flights, self._key = flights, key
        self.landed = asyncio.Event()
        self.failure: Exception | None = None

    def __enter__(self) -> None:
        self._flights[self._key] = self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._flights[self._key]
        self.failure = error if isinstance(error, Exception) and not isinstance(error, BudgetError) else None
        self.landed.set()
