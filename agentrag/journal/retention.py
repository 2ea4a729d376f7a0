"""Forgets old runs: by age, by number, by size of the file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import time

from agentrag.core.errors import StoreError
from agentrag.journal.schema import faults, open_to_write

_ENDED = "status NOT IN ('running', 'paused')"
# what a fork that can be gone on with has not taken yet is still in its parent
_FREE = "run NOT IN (SELECT parent FROM runs WHERE parent IS NOT NULL AND status != 'finished')"
_OF_A_RUN = ("calls", "notes", "settled", "intents")


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was forgotten: how many runs, and by how many bytes the file shrank."""

    runs: int
    bytes: int


def delete_runs(
    path: Path,
    older_than: timedelta | None = None,
    keep: int | None = None,
    max_bytes: int | None = None,
    *,
    include_unfinished: bool = False,
) -> Deleted:
    """Delete runs, oldest first, and what only they need, and give the space back to the file system.

    Runs that run or wait for a person stay, and so do their parents: nobody can tell whether a process still works on one.
    Needs as much free space as the file has left afterwards; others cannot write to the journal meanwhile.

    Args:
        path: The journal's file.
        older_than: Delete runs that were last worked on longer ago than this.
        keep: Of the runs that ended, keep only so many, the newest.
        max_bytes: Delete runs that ended until what is left takes at most so many bytes.
        include_unfinished: `older_than` also holds for runs that run or wait.

    Raises:
        StoreError: The journal is not there, or cannot be read or written.
    """
    if not path.is_file():
        raise StoreError(f"Journal {path} is not there.")
    database = open_to_write(path)
    try:
        with faults(path, "written"):
            before = _size(path)
            deleted = _delete(database, older_than, keep, max_bytes, include_unfinished)
            # afterwards only: VACUUM cannot run inside a transaction
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Deleted(deleted, max(0, before - _size(path)))
    finally:
        database.close()


def _delete(
    database: sqlite3.Connection, older_than: timedelta | None, keep: int | None, max_bytes: int | None, unfinished: bool
) -> int:
    database.execute("BEGIN IMMEDIATE")
    try:
        # answers are shared by calls; only here it must be quick to find who has one
        database.execute("CREATE INDEX calls_by_answer ON calls (answer)")
        runs = [*_too_old(database, older_than, unfinished), *_too_many(database, keep)]
        numbers = list(dict.fromkeys(runs))
        for number in numbers:
            _forget(database, number)
        count = len(numbers) + (_shrink(database, max_bytes) if max_bytes is not None else 0)
        database.execute("DELETE FROM texts WHERE id NOT IN (SELECT parts FROM runs UNION SELECT sources FROM runs)")
        database.execute("DROP INDEX calls_by_answer")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return count


def _too_old(database: sqlite3.Connection, older_than: timedelta | None, unfinished: bool) -> list[int]:
    if older_than is None:
        return []
    ended = "1" if unfinished else f"{_ENDED} AND {_FREE}"
    query = f"""SELECT id FROM runs WHERE {ended} AND coalesce(
                    ended, (SELECT max(at) FROM calls WHERE calls.run = runs.id), started) < ? ORDER BY id"""
    return [number for (number,) in database.execute(query, (time() - older_than.total_seconds(),))]


def _too_many(database: sqlite3.Connection, keep: int | None) -> list[int]:
    if keep is None:
        return []
    query = f"SELECT id FROM runs WHERE {_ENDED} AND {_FREE} ORDER BY id DESC LIMIT -1 OFFSET ?"
    return [number for (number,) in database.execute(query, (max(0, keep),))]


def _shrink(database: sqlite3.Connection, max_bytes: int) -> int:
    """Delete the oldest runs until what is left takes at most `max_bytes`; how many that took."""
    oldest = f"SELECT id FROM runs WHERE {_ENDED} AND {_FREE} ORDER BY id LIMIT 1"
    count = 0
    while _live_bytes(database) > max_bytes and (row := database.execute(oldest).fetchone()):
        _forget(database, row[0])
        count += 1
    return count


def _forget(database: sqlite3.Connection, number: int) -> None:
    answers = database.execute("SELECT DISTINCT answer FROM calls WHERE run = ?", (number,)).fetchall()
    for table in _OF_A_RUN:
        database.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
    database.execute("DELETE FROM runs WHERE id = ?", (number,))
    unused = "DELETE FROM answers WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM calls WHERE answer = ?1)"
    database.executemany(unused, answers)


def _live_bytes(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _size(path: Path) -> int:
    beside = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
