"""A recorded run as the only source of answers: nothing is sent, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import ReplayError
from agentrag.core.ports import Codec, Recorded, RunRecord, RunStatus
from agentrag.journal.damage import parsed
from agentrag.journal.lookup import kept_of, known_run
from agentrag.journal.recall import Recall
from agentrag.journal.schema import faults, open_to_read
from agentrag.journal.sqlite import SqliteJournal, decoded

T = TypeVar("T")


class ReplayJournal:
    """Answers the calls of one recorded run, by their positions; the id under which it is replayed does not matter.

    Args:
        source: The journal, or its file; it is opened without the right to change it.
        run: Id of the recorded run.

    Raises:
        StoreError: The file is no journal, or does not know the run.
    """

    def __init__(self, source: SqliteJournal | Path, run: str) -> None:
        self.path = source.path if isinstance(source, SqliteJournal) else source
        self.run = run
        self._database = open_to_read(self.path)
        self._lock = Lock()
        try:
            with faults(self.path, "read"):
                self._load(known_run(self._database, run))
        except BaseException:
            self._database.close()
            raise

    def begin(self, record: RunRecord) -> None:
        """Nothing is kept of a replay."""

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        """Nothing is kept of a replay."""

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record; `work` is never called.

        Raises:
            ReplayError: The record has no answer.
            StoreError: The journal cannot be read.
        """
        number = self._recall.same(call)
        if number is None:
            number = self._recall.equal(call)
        row = None if number is None else self._answer(number)
        if row is None:
            raise ReplayError(call.step, call.kind, call.target)
        body, seconds = row
        return Recorded(decoded(self.path, call, codec, body), seconds, reused=True)

    def name_of(self, call: OutwardCall) -> str:
        """Under which name a write would be sent; a replay sends none."""
        return call.idempotency_key

    def settled(self, run: str, step: str) -> Any:
        """What was decided when the run was recorded; see `agentrag.core.ports.Journal`."""
        return parsed(self.path, self._settled.get(step, "null"), self.run, f"what was decided at {step}")

    def settle(self, run: str, step: str, value: Any) -> bool:
        """Keep a decision that the record lacks for as long as the replay lasts."""
        first = step not in self._settled
        self._settled.setdefault(step, json.dumps(value))
        return first

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        """Nothing is kept of a replay."""

    def noted(self, run: str, kind: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """A replay goes on with nothing; see `agentrag.core.ports.Journal`."""
        return ()

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._database.close()

    def _load(self, number: int) -> None:
        self._recall = Recall(kept_of(self._database, number))
        rows = self._database.execute("SELECT step, value FROM settled WHERE run = ?", (number,))
        self._settled: dict[str, str] = dict(rows)
        counted = self._database.execute("SELECT 1 FROM notes WHERE run = ? AND kind IN ('spent', 'paid')", (number,))
        self.counted = counted.fetchone() is not None

    def _answer(self, number: int) -> tuple[bytes, float] | None:
        query = "SELECT body, seconds FROM answers WHERE id = ?"
        with self._lock, faults(self.path, "read"):
            row: tuple[bytes, float] | None = self._database.execute(query, (number,)).fetchone()
        return row
