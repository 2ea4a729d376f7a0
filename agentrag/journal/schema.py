"""The SQLite file of a journal: its tables, how it is opened, and what SQLite's errors mean.

Every distinct answer is stored once, with its request; a call that was reused points to the answer that it was given.
`seq` counts the calls and notes of a run in the order of their ends. `intents` are the writes whose result is not known.
`owner` is who works on a run, see `agentrag.journal.owner`; older versions of this format do not know it and leave it alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from agentrag.core.errors import StoreError
from agentrag.journal.migrate import has_old_calls, move_old_calls, set_old_calls_aside

FORMAT = 2
APPLICATION = 0x6172616A  # "araj": tells a journal from other SQLite files
BUSY_SECONDS = 30.0

_FREE_SPACE = "What was recorded is kept: free some space and resume the run."
_HINTS = (
    ("disk is full", _FREE_SPACE),
    ("disk I/O", _FREE_SPACE),
    ("is locked", "Another process writes it and does not end: wait for that or end it; what was recorded is kept."),
    ("malformed", "Find the runs that can still be read, and take them out, with: agentrag runs check"),
    ("readonly", "Its file and its folder must be writable."),
)
"""What to do, by what SQLite says."""

_TABLES = (
    "CREATE TABLE texts (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body TEXT NOT NULL)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL UNIQUE, graph TEXT NOT NULL, ref TEXT NOT NULL,
        tenant TEXT NOT NULL, status TEXT NOT NULL, parent TEXT, cut TEXT, inputs TEXT NOT NULL,
        parts INTEGER NOT NULL REFERENCES texts(id), sources INTEGER NOT NULL REFERENCES texts(id), options TEXT NOT NULL,
        started REAL NOT NULL, ended REAL, seconds REAL NOT NULL DEFAULT 0, outputs BLOB, error TEXT NOT NULL DEFAULT '',
        owner TEXT)""",
    """CREATE TABLE answers (
        id INTEGER PRIMARY KEY, key BLOB NOT NULL, deterministic INTEGER NOT NULL, seconds REAL NOT NULL,
        request TEXT NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE calls (
        run INTEGER NOT NULL REFERENCES runs(id), step TEXT NOT NULL, key BLOB NOT NULL, nth INTEGER NOT NULL,
        seq INTEGER NOT NULL, ordinal INTEGER NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
        deterministic INTEGER NOT NULL, effect TEXT NOT NULL, answer INTEGER NOT NULL REFERENCES answers(id),
        at REAL NOT NULL, reused INTEGER NOT NULL, PRIMARY KEY (run, step, key, nth)) WITHOUT ROWID""",
    """CREATE TABLE settled (
        run INTEGER NOT NULL REFERENCES runs(id), step TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (run, step)) WITHOUT ROWID""",
    """CREATE TABLE notes (
        run INTEGER NOT NULL REFERENCES runs(id), seq INTEGER NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL,
        body TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID""",
    """CREATE TABLE intents (
        run INTEGER NOT NULL REFERENCES runs(id), step TEXT NOT NULL, key BLOB NOT NULL, nth INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL, target TEXT NOT NULL, request TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (run, step, key, nth)) WITHOUT ROWID""",
)


def open_to_write(path: Path, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a journal; make it where it is not there, bring one of version 0.1 to this format.

    Args:
        path: The file.
        patience: Seconds to wait, at every access, while another process writes.

    Raises:
        StoreError: It is no journal, a newer version made it, or it cannot be opened.
    """
    with _usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives the files beside it the same mode
        path.touch(mode=0o600, exist_ok=True)
        if path.stat().st_mode & 0o077:  # made by another program: payloads are for the owner
            path.chmod(0o600)
        return _connected(path, patience)


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal without the right to change it; one of version 0.1 is brought to this format first.

    Raises:
        StoreError: As above, or it is not there.
    """
    with _usable(path):
        if not path.is_file():
            raise StoreError(f"Journal {path} is not there.")
        connection = _connected_to_read(path)
        if _pragma(connection, "user_version"):
            return connection
        connection.close()
        open_to_write(path).close()
        return _connected_to_read(path)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make an empty journal inside a transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def knows_owners(connection: sqlite3.Connection) -> bool:
    """Whether a journal can say who works on a run; one that an older version made, and nobody wrote to since, cannot."""
    return any(row[1] == "owner" for row in connection.execute("PRAGMA table_info(runs)"))


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from any other; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # before every call that is made: half the time of `Path.stat`
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def faults(path: Path, doing: str) -> Iterator[None]:
    """Turn an error of SQLite or of the file system into a StoreError; `doing` is "read" or "written"."""
    try:
        yield
    except (sqlite3.Error, OSError, MemoryError) as error:
        raise journal_error(path, doing, error) from error


def journal_error(path: Path, doing: str, error: Exception) -> StoreError:
    """Say in one line what a failure of SQLite means for a journal, and what to do about it."""
    text = " ".join(str(error).split())
    if isinstance(error, sqlite3.IntegrityError):
        text = "another process carries on the same run, and was first"
    if isinstance(error, MemoryError):
        text = "database disk image is malformed: a record claims to be larger than the memory"
    hints = [f". {hint}" for sign, hint in _HINTS if sign in text]
    return StoreError(f"Journal {path} cannot be {doing}: {text}{''.join(hints[:1])}")


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, sqlite3.Error, MemoryError) as error:
        raise journal_error(path, "used", _reason(path, error)) from error


def _reason(path: Path, error: Exception) -> Exception:
    """The error that tells most: SQLite does not say why it cannot open a file."""
    if "unable to open" in str(error):
        try:
            path.open("rb").close()
        except OSError as reason:
            return reason
    return error


def _connected(path: Path, patience: float) -> sqlite3.Connection:
    # one connection; the journal's lock lets several threads take turns on it
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=patience)
    try:
        # nothing of a file is changed before it is known to be a journal
        _check(connection, path)
        _use_wal(connection, patience)
        # NORMAL survives any kill of the process, and a power cut without damage
        connection.execute("PRAGMA synchronous = NORMAL")
        if not _pragma(connection, "user_version") or not knows_owners(connection):
            _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, seconds: float) -> None:
    # SQLite does not wait for others while it changes this mode
    patience = Retrying(
        retry=retry_if_exception(lambda error: "locked" in str(error)),
        wait=wait_fixed(0.02),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    patience(connection.execute, "PRAGMA journal_mode = WAL")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # another process may have been quicker
        if not _pragma(connection, "user_version"):
            old = has_old_calls(connection)
            if old:
                set_old_calls_aside(connection)
            create_tables(connection)
            if old:
                move_old_calls(connection)
        elif not knows_owners(connection):
            connection.execute("ALTER TABLE runs ADD COLUMN owner TEXT")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connected_to_read(path: Path) -> sqlite3.Connection:
    place = f"{path.absolute().as_uri()}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        # a file at rest in a folder that may not be written: SQLite could not make what it shares with writers
        place += "&immutable=1"
    connection = sqlite3.connect(place, uri=True, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is neither a journal nor empty, and a newer journal."""
    # one state of a file that another process may be making just now
    connection.execute("BEGIN")
    version, application = _pragma(connection, "user_version"), _pragma(connection, "application_id")
    filled = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    old = has_old_calls(connection)
    connection.execute("COMMIT")
    if application != APPLICATION and (version or (filled and not old)):
        raise StoreError(f"Journal {path} cannot be used: it is an SQLite file of something else")
    if version > FORMAT:
        made = f"a newer agentrag made it (format {version}; this one reads format {FORMAT})"
        raise StoreError(f"Journal {path} cannot be used: {made}. Update agentrag, or name another file.")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    number: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return number
