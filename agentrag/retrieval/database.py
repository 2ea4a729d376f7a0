"""The SQLite file of a collection: documents, passages and vectors. It is the truth; the indexes are made from it.

A passage's `state` is 0 while its document is not complete, 1 when it waits for the vector index, 2 when it is in it.
`tombstones` are ids that the vector index still holds and the collection no longer does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from agentrag.core.errors import StoreError

FORMAT = 1
FILE = "collection.sqlite"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    record TEXT NOT NULL,
    metadata TEXT NOT NULL,
    complete INTEGER NOT NULL DEFAULT 0,
    characters INTEGER NOT NULL DEFAULT 0,
    digest TEXT NOT NULL DEFAULT '0'
);
CREATE UNIQUE INDEX documents_complete ON documents(source) WHERE complete = 1;
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    document INTEGER NOT NULL REFERENCES documents(number),
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    page INTEGER,
    heading TEXT NOT NULL,
    before TEXT NOT NULL,
    text TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX passages_place ON passages(document, ordinal);
CREATE INDEX passages_id ON passages(id, state);
CREATE INDEX passages_waiting ON passages(state) WHERE state = 1;
CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE tombstones (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Database:
    """One connection, safe to use from several threads.

    Raises:
        StoreError: From every method: SQLite failed; the cause is chained.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._lock = RLock()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, self._faults():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a write transaction: committed at a normal end, rolled back otherwise."""
        with self._lock, self._faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back on a full disk
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def freeze(self) -> None:
        """From now on read what is committed now, whatever others write, until closed."""
        with self._lock, self._faults():
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM meta").fetchone()

    def meta(self, key: str) -> Any:
        """A stored JSON value; None where there is none."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        with self._lock, self._faults():
            self._connection.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(self.name, error) from error


def set_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Store a JSON value inside a transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))


def open_database(folder: Path, name: str, create: bool) -> Database | None:
    """Open the database in a collection's folder; with `create` make it where it is missing, else None there.

    Raises:
        StoreError: It cannot be opened, or a newer version made it.
    """
    path = folder / FILE
    if not create and not path.is_file():
        return None
    try:
        connection = _connected(path)
        ready = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        if not ready and not create:
            connection.close()
            return None
        if not ready:
            _create(connection)
    except sqlite3.Error as error:
        raise store_error(name, error) from error
    database = Database(connection, name)
    if (version := database.meta("format")) != FORMAT:
        database.close()
        raise StoreError(f"Collection '{name}' has format {version}; this version reads format {FORMAT}. Ingest it again.")
    return database


def memory_database(name: str) -> Database:
    """An empty database that lives in memory."""
    connection = _connected(":memory:")
    _create(connection)
    return Database(connection, name)


def _connected(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    # WAL lets others read while one writes; NORMAL survives any kill of the process, and a power cut without damage
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    set_meta(connection, "format", FORMAT)
    connection.execute("COMMIT")


def store_error(name: str, error: Exception) -> StoreError:
    """Say in one line what a failure of SQLite or of the file system means for a collection."""
    text = " ".join(str(error).split())
    if "disk is full" in text or "No space left" in text or "disk I/O" in text:
        return StoreError(
            f"Collection '{name}': the disk is full; what was complete is kept. Free some space and run this again."
        )
    if "malformed" in text or "not a database" in text:
        what = f"its file {FILE} is damaged ({text}), and the texts with it. Delete the collection and ingest it again."
        return StoreError(f"Collection '{name}': {what}")
    return StoreError(f"Collection '{name}' cannot be read or written: {text}.")
