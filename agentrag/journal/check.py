"""Looks whether a journal's file is whole, and which of its runs can still be read and taken out where it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agentrag.core.errors import StoreError
from agentrag.journal.history import History
from agentrag.journal.schema import faults, open_to_read


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a journal.

    Attributes:
        faults: What is wrong with the file, in SQLite's words.
        whole: Ids of the runs of which everything can be read, oldest first; `agentrag.journal.export.export_cassette`
            writes them to a new journal.
        damaged: Why the other runs cannot be read, by id.
    """

    faults: tuple[str, ...]
    whole: tuple[str, ...]
    damaged: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Nothing is wrong."""
        return not self.faults and not self.damaged


def check(path: Path) -> Checked:
    """Read all of a journal, without changing it. Cost: about 30 ms per MB.

    Raises:
        StoreError: It is not there, or no journal.
    """
    found = _faults(path)
    try:
        with History(path) as history:
            runs = [past.record.run for past in reversed(history.runs(limit=None))]
            damaged = _damaged(history, runs)
    except StoreError:
        if not found:
            raise
        return Checked(found, (), {})
    return Checked(found, tuple(run for run in runs if run not in damaged), damaged)


def _faults(path: Path) -> tuple[str, ...]:
    """What SQLite finds, at most 100 lines. A file that is of another program is no fault, but an error."""
    try:
        with closing(open_to_read(path)) as database, faults(path, "read"):
            rows = database.execute("PRAGMA integrity_check(100)").fetchall()
    except StoreError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError) or "malformed" not in str(error):
            raise
        return (str(error.__cause__),)
    return tuple(line for (text,) in rows for line in text.splitlines() if line != "ok")


def _damaged(history: History, runs: Sequence[str]) -> dict[str, str]:
    damaged: dict[str, str] = {}
    for run in runs:
        try:
            _read_all(history, run)
            parent = _needed(history, run)
        except StoreError as error:
            damaged[run] = str(error)
        else:
            if parent in damaged:
                damaged[run] = f"Run {run} did not finish, and run {parent} that it was forked from is damaged."
    return damaged


def _read_all(history: History, run: str) -> None:
    for call in history.calls(run):
        history.exchange(call)
    history.notes(run)
    history.settled(run)
    history.in_doubt(run)


def _needed(history: History, run: str) -> str | None:
    """The run without which this one cannot be gone on with."""
    past = history.run(run)
    return None if past.status == "finished" else past.record.parent
