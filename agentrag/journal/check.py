"""Looks whether a journal's file is whole, and which of its runs can still be read and taken out where it is not."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agentrag.core.errors import StoreError
from agentrag.journal.export import export_cassette, refuse_uncopied
from agentrag.journal.history import History
from agentrag.journal.schema import faults, open_to_read

_HEAD = struct.Struct(">16xH10xI")
"""Of an SQLite file: the size of its pages, and how many there are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a journal.

    Attributes:
        faults: What is wrong with the file, in SQLite's words.
        whole: Ids of the runs of which everything can be read, oldest first. Where `faults` is not empty, the last calls and
            notes of one may have been on a page that is lost: SQLite does not know of them any more.
        damaged: Why the other runs cannot be read, by id.
    """

    faults: tuple[str, ...]
    whole: tuple[str, ...]
    damaged: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Nothing is wrong."""
        return not self.faults and not self.damaged


def check(path: Path, target: Path | None = None) -> Checked:
    """Read all of a journal, without changing it; with `target` the whole runs are written there, as a new journal.

    Cost: about 30 ms per MB. A file that was cut short is read from a copy, for SQLite does not read it as it is.

    Raises:
        StoreError: It is not there, or no journal; or `target` is there already or cannot be written.
    """
    with _readable(path) as (place, lacks):
        found = (*lacks, *_faults(place))
        try:
            with History(place) as history:
                runs = [past.record.run for past in reversed(history.runs(limit=None))]
                damaged = _damaged(history, runs, strict=bool(found))
        except StoreError as error:
            return Checked(found or (str(error).replace(str(place), str(path)),), (), {})
        whole = tuple(run for run in runs if run not in damaged)
        if target is not None and whole:
            export_cassette(place, whole, target)
    told = {run: why.replace(str(place), str(path)) for run, why in damaged.items()}
    return Checked(found, whole, told)


@contextmanager
def _readable(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A file that SQLite reads, and what the journal lacks of what its head says: then it is a copy, filled up with zeros."""
    with faults(path, "used"):
        size, told = _sizes(path)
    if size >= told:
        yield path, ()
        return
    with TemporaryDirectory() as folder, faults(path, "used"):
        copy = Path(shutil.copy(path, folder))
        for log in path.parent.glob(f"{path.name}-wal"):
            shutil.copy(log, folder)
        os.truncate(copy, told)
        yield copy, (f"the file was cut short: {size:,} of {told:,} bytes are there",)


def _sizes(path: Path) -> tuple[int, int]:
    """Bytes that a file has, and those that the head of an SQLite file says."""
    if not path.is_file():
        raise StoreError(f"Journal {path} is not there.")
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        size = os.fstat(file.fileno()).st_size
    if len(head) < _HEAD.size or not head.startswith(b"SQLite format 3\0"):
        return size, 0
    page, pages = _HEAD.unpack(head)
    return size, pages * (65536 if page == 1 else page)


def _faults(path: Path) -> tuple[str, ...]:
    """What SQLite finds, at most 100 lines. A file that is of another program is no fault, but an error."""
    try:
        with closing(open_to_read(path)) as database, faults(path, "read"):
            rows = database.execute("PRAGMA integrity_check(100)").fetchall()
    except StoreError as error:
        if "malformed" not in str(error):
            raise
        return (str(error.__cause__) or "a record claims to be larger than the memory",)
    return tuple(line for (text,) in rows for line in text.splitlines() if line != "ok")


def _damaged(history: History, runs: Sequence[str], *, strict: bool) -> dict[str, str]:
    """Why runs cannot be read, by id; where it is `strict` they must also have no gap."""
    damaged: dict[str, str] = {}
    for run in runs:
        try:
            numbers = _read_all(history, run)
            parent = _needed(history, run)
        except StoreError as error:
            lost = str(error).startswith("Unknown run")  # it was just listed
            damaged[run] = f"Run {run} is not found by its name." if lost else str(error)
            continue
        if strict and numbers != list(range(1, len(numbers) + 1)):
            damaged[run] = f"Calls or notes of run {run} are missing."
        if parent in damaged:
            damaged[run] = f"Run {run} did not finish, and run {parent} that it was forked from is damaged."
    return damaged


def _read_all(history: History, run: str) -> list[int]:
    """Numbers of the calls and notes of a run, in order."""
    calls, notes = history.calls(run), history.notes(run)
    for call in calls:
        history.exchange(call)
    history.settled(run)
    refuse_uncopied(history.path, run)
    return sorted([*(call.seq for call in calls), *(note.seq for note in notes)])


def _needed(history: History, run: str) -> str | None:
    """The run without which this one cannot be gone on with."""
    past = history.run(run)
    return None if past.status == "finished" else past.record.parent
