"""The durable journal: every outward call of every run in one SQLite file.

Payloads are kept whole, so the file is readable by its owner only. Requests never hold credentials: clients add those
after the journal.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import StoreError
from agentrag.core.ports import Codec, Recorded

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    run TEXT NOT NULL, step TEXT NOT NULL, ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL, deterministic INTEGER NOT NULL,
    request TEXT NOT NULL, response BLOB NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL,
    reused INTEGER NOT NULL,
    PRIMARY KEY (run, step, ordinal)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_key ON calls (key) WHERE deterministic AND NOT reused;
"""


class SqliteJournal:
    """Records calls in `path`.

    Args:
        path: The file; made with its folders where it is not there.
        reuse: Answer a deterministic call (search, embedding, temperature 0) from an equal one of any earlier run in
            this file. Such a file is a cassette: a second run costs nothing and says the same.

    Raises:
        StoreError: The file is no journal, or cannot be opened.
    """

    def __init__(self, path: Path, *, reuse: bool = False) -> None:
        self.path, self.reuse = path, reuse
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            # one connection, used from the event loop's thread; `asyncio.to_thread` users may pass it on
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"Journal {path} cannot be used: {error}") from error

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record or do `work`; see `agentrag.core.ports.Journal`.

        Cost: one commit, about 50 microseconds.

        Raises:
            StoreError: The journal cannot be read or written.
        """
        if self.reuse and call.deterministic and (found := self._find(call.key)):
            response, seconds = found
            self._record(call, response, seconds, reused=True)
            return Recorded(codec.validate_json(response), seconds, reused=True)
        begun = perf_counter()
        value = await work()
        seconds = perf_counter() - begun
        self._record(call, codec.dump_json(value), seconds, reused=False)
        return Recorded(value, seconds, reused=False)

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._database.close()

    def _find(self, key: str) -> tuple[bytes, float] | None:
        query = "SELECT response, seconds FROM calls WHERE key = ? AND deterministic AND NOT reused LIMIT 1"
        try:
            row: tuple[bytes, float] | None = self._database.execute(query, (key,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"Journal {self.path} cannot be read: {error}") from error
        return row

    def _record(self, call: OutwardCall, response: bytes, seconds: float, *, reused: bool) -> None:
        request = json.dumps(call.request, ensure_ascii=False, sort_keys=True)
        place = (call.run, call.step, call.ordinal, call.kind, call.target, call.key, call.deterministic)
        row = (*place, request, b"" if reused else response, seconds, datetime.now(UTC).isoformat(), reused)
        try:
            self._database.execute(f"INSERT INTO calls VALUES ({', '.join('?' * 12)})", row)
        except sqlite3.Error as error:
            raise StoreError(f"Journal {self.path} cannot be written: {error}") from error
