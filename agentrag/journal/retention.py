"""Forgets old runs: by age, by number, by size of the file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import time

from agentrag.core.errors import StoreError
from agentrag.journal.lookup import number_of
from agentrag.journal.owner import is_alive
from agentrag.journal.schema import faults, open_to_write

_ENDED = "status NOT IN ('running', 'paused')"
# what a fork that can be gone on with has not taken yet is still in its parent
_FREE = "run NOT IN (SELECT parent FROM runs WHERE parent IS NOT NULL AND status != 'finished')"
_OWN = "(:tenant IS NULL OR tenant = :tenant)"
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
    copy_of: Path | None = None,
    tenant: str | None = None,
) -> Deleted:
    """Delete runs, oldest first, and what only they need, and give the space back to the file system.

    Runs that did not end or wait for a person stay, and so do the runs that they were forked from. Needs as much free space
    as the file has left afterwards; others cannot write to the journal meanwhile.

    Args:
        path: The journal's file.
        older_than: Delete runs that were last worked on longer ago than this.
        keep: Of the runs that ended, keep only so many, the newest.
        max_bytes: Delete runs that ended until what is left takes at most so many bytes.
        include_unfinished: `older_than` also holds for those, but never for a run that a process works on.
        copy_of: The journal that `path` is a copy of, where it is only tried what would be deleted.
        tenant: Whose runs are deleted; what is recorded for others stays, and counts neither for `keep` nor `max_bytes`.
            None: anybody's.

    Raises:
        StoreError: The journal is not there, or cannot be read or written.
    """
    if not path.is_file():
        raise StoreError(f"Journal {path} is not there.")
    database = open_to_write(path)
    try:
        with faults(path, "written"):
            before = _size(path)
            deleted = _delete(database, _Rules(older_than, keep, max_bytes, include_unfinished, tenant), copy_of or path)
            # afterwards only: VACUUM cannot run inside a transaction
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Deleted(deleted, max(0, before - _size(path)))
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Rules:
    older_than: timedelta | None
    keep: int | None
    max_bytes: int | None
    include_unfinished: bool
    tenant: str | None


def _delete(database: sqlite3.Connection, rules: _Rules, journal: Path) -> int:
    database.execute("BEGIN IMMEDIATE")
    try:
        # answers are shared by calls; only here it must be quick to find who has one
        database.execute("CREATE INDEX calls_by_answer ON calls (answer)")
        spared = _worked_on(database, journal)
        runs = [*_too_old(database, rules), *_too_many(database, rules)]
        numbers = [number for number in dict.fromkeys(runs) if number not in spared]
        for number in numbers:
            _forget(database, number)
        count = len(numbers) + _shrink(database, rules)
        database.execute("DELETE FROM texts WHERE id NOT IN (SELECT parts FROM runs UNION SELECT sources FROM runs)")
        database.execute("DROP INDEX calls_by_answer")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return count


def _worked_on(database: sqlite3.Connection, journal: Path) -> set[int]:
    """Numbers of the runs that a process works on, and of those that they were forked from: what they take is there."""
    owned = database.execute("SELECT id, parent, owner FROM runs WHERE owner IS NOT NULL").fetchall()
    alive = {owner for owner in {owner for _, _, owner in owned} if is_alive(journal, owner)}
    spared = {number for number, _, owner in owned if owner in alive}
    parents = {number_of(database, parent) for _, parent, owner in owned if owner in alive}
    return spared | {number for number in parents if number is not None}


def _too_old(database: sqlite3.Connection, rules: _Rules) -> list[int]:
    if rules.older_than is None:
        return []
    ended = "1" if rules.include_unfinished else f"{_ENDED} AND {_FREE}"
    query = f"""SELECT id FROM runs WHERE {ended} AND {_OWN} AND coalesce(
                    ended, (SELECT max(at) FROM calls WHERE calls.run = runs.id), started) < :before ORDER BY id"""
    values = {"tenant": rules.tenant, "before": time() - rules.older_than.total_seconds()}
    return [number for (number,) in database.execute(query, values)]


def _too_many(database: sqlite3.Connection, rules: _Rules) -> list[int]:
    if rules.keep is None:
        return []
    query = f"SELECT id FROM runs WHERE {_ENDED} AND {_FREE} AND {_OWN} ORDER BY id DESC LIMIT -1 OFFSET :keep"
    return [number for (number,) in database.execute(query, {"tenant": rules.tenant, "keep": max(0, rules.keep)})]


def _shrink(database: sqlite3.Connection, rules: _Rules) -> int:
    """Delete the oldest runs until what is left takes at most `max_bytes`; how many that took."""
    if rules.max_bytes is None:
        return 0
    most, whose = rules.max_bytes + _bytes_of_others(database, rules.tenant), {"tenant": rules.tenant}
    oldest = f"SELECT id FROM runs WHERE {_ENDED} AND {_FREE} AND {_OWN} ORDER BY id LIMIT 1"
    count = 0
    while _live_bytes(database) > most and (row := database.execute(oldest, whose).fetchone()):
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


def _bytes_of_others(database: sqlite3.Connection, tenant: str | None) -> int:
    """What calls and notes of other tenants take, the places that SQLite keeps for them left out."""
    others = "(SELECT id FROM runs WHERE tenant != :tenant)"
    query = f"""SELECT (SELECT coalesce(sum(length(CAST(request AS BLOB)) + length(body)), 0) FROM answers
                        WHERE id IN (SELECT answer FROM calls WHERE run IN {others}))
                     + (SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM notes WHERE run IN {others})"""
    return int(database.execute(query, {"tenant": tenant}).fetchone()[0])


def _live_bytes(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _size(path: Path) -> int:
    beside = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
