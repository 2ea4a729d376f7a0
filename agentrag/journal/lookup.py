"""Finds runs and steps in a journal's file, and says what is near where there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from difflib import get_close_matches
from typing import cast

from agentrag.core.errors import StoreError, unknown
from agentrag.journal.recall import Kept, covers


def number_of(database: sqlite3.Connection, run: str | None, tenant: str | None = None) -> int | None:
    """Number of a run in the file; None where it is not there, or is not that of `tenant` where one is given."""
    query = "SELECT id FROM runs WHERE run = ?1 AND (?2 IS NULL OR tenant = ?2)"
    row: tuple[int] | None = database.execute(query, (run, tenant)).fetchone()
    return row[0] if row else None


def kept_of(database: sqlite3.Connection, run: int | None, cut: str | None = None) -> Iterator[Kept]:
    """Recorded calls of a run in the order of their ends; with `cut` those before that step, and every write.

    Raises:
        StoreError: The run did not come to the step `cut`.
    """
    if run is None:
        return iter(())
    before = _cut_seq(database, run, cut) if cut else latest_seq(database, run) + 1
    query = """SELECT step, key, nth, effect, deterministic, answer FROM calls
               WHERE run = ? AND (seq < ? OR effect = 'write') ORDER BY seq"""
    return map(Kept._make, database.execute(query, (run, before)))


def latest_seq(database: sqlite3.Connection, run: int) -> int:
    """Number of the latest call or note of a run; 0 where it has none."""
    query = "SELECT max(seq) FROM (SELECT seq FROM calls WHERE run = ?1 UNION ALL SELECT seq FROM notes WHERE run = ?1)"
    return cast("int", database.execute(query, (run,)).fetchone()[0] or 0)


def known_run(database: sqlite3.Connection, run: str, tenant: str | None = None) -> int:
    """Number of a run in the file; with `tenant` among the runs of that one only.

    Raises:
        StoreError: It is not there.
    """
    number = number_of(database, run, tenant)
    if number is None:
        names = {name for (name,) in database.execute("SELECT run FROM runs WHERE ?1 IS NULL OR tenant = ?1", (tenant,))}
        raise StoreError(unknown("run", run, nearest(run, names)))
    return number


def nearest(name: str, known: set[str]) -> list[str]:
    """The ten names nearest to one that is unknown: a journal knows more than a message can hold."""
    return get_close_matches(name, known, n=10, cutoff=0.0)


def _cut_seq(database: sqlite3.Connection, run: int, cut: str) -> int:
    query = "SELECT step, seq FROM calls WHERE run = ?1 UNION ALL SELECT step, seq FROM notes WHERE run = ?1"
    steps = database.execute(query, (run,)).fetchall()
    found = [seq for step, seq in steps if covers(cut, step)]
    if not found:
        raise StoreError(unknown("step", cut, nearest(cut, {step for step, _ in steps})))
    return int(min(found))
