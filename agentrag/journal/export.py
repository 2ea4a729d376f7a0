"""Takes runs out of a journal: as a cassette that replays them, or as lines of JSON for people and for training."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from agentrag.core.errors import StoreError
from agentrag.core.redact import redacted
from agentrag.journal.damage import sound
from agentrag.journal.history import History
from agentrag.journal.lookup import known_run, number_of
from agentrag.journal.past import PastCall, PastRun, PastStep
from agentrag.journal.schema import create_tables, faults, open_to_read

_RUN_COLUMNS = """parts, sources, run, graph, ref, tenant, status, parent, cut, inputs, options, started, ended, seconds,
                  outputs, error"""
_ANSWER_COLUMNS = "key, deterministic, seconds, request, body"


def export_cassette(source: Path, runs: Sequence[str], target: Path, tenant: str | None = None) -> tuple[str, ...]:
    """Write a journal that holds these runs, with every answer that they were given, wherever it came from; their ids.

    It is kept whole, so that a replay says what the run said; its mode is 0600. Equal runs make equal bytes. A fork that did
    not finish takes the run that it was forked from along, before it: it may still need answers and writes of that.

    Args:
        source: The journal's file.
        runs: Full ids, in the order in which they shall stand.
        target: The new file.
        tenant: Whose runs they must be; those of others are unknown. None: anybody's.

    Raises:
        StoreError: A run is unknown, a file cannot be read or written, or `target` is there already.
    """
    if target.exists():
        raise StoreError(f"Journal {target} is there already.")
    reading = open_to_read(source)
    unfinished = target.with_name(f"{target.name}.part")
    try:
        with faults(source, "read"):
            reading.execute("BEGIN")  # one state of the source, whatever others write
            taken = _with_parents(reading, [known_run(reading, run, tenant) for run in runs])
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as writing, faults(target, "written"):
            _write(_Copy(source, reading, writing), taken)
        unfinished.replace(target)
    except OSError as error:
        raise StoreError(f"Journal {target} cannot be written: {error}") from error
    finally:
        reading.close()
        unfinished.unlink(missing_ok=True)
    return tuple(taken.values())


def export_lines(
    source: Path, runs: Sequence[str], tenant: str | None = None, redact: Callable[[Any], Any] = redacted
) -> Iterator[str]:
    """Runs as lines of JSON without credentials: a line per run, then one per step, each followed by its calls.

    Lines are {"type": "run" | "step" | "call", "run": ID, ...}; a call holds its whole request and answer.

    Args:
        source: The journal's file.
        runs: Full ids.
        tenant: As in `export_cassette`.
        redact: Blanks more in JSON data than credentials, e.g. `agentrag.core.observing.redactor_of(settings).data`.

    Raises:
        StoreError: A run is unknown, or the file cannot be read.
    """
    with History(source, tenant) as history:
        for run in runs:
            history.calls(run)  # before the first line: an unknown run must not leave half an export
        for run in runs:
            for line in _lines(history, run):
                yield json.dumps(redact(line), ensure_ascii=False)


def _lines(history: History, run: str) -> Iterator[dict[str, Any]]:
    yield _run_line(history.run(run), history.settled(run))
    for step in history.steps(run):
        yield _step_line(run, step)
        for call in step.calls:
            yield _call_line(run, call, *history.exchange(call))


def _run_line(run: PastRun, settled: dict[str, Any]) -> dict[str, Any]:
    record = asdict(run.record)
    outputs = None if run.outputs is None else json.loads(run.outputs)
    ended = None if run.ended is None else run.ended.isoformat()
    told = {"status": run.status, "started": run.started.isoformat(), "ended": ended, "seconds": run.seconds}
    cost = {"usage": asdict(run.usage), "saved": asdict(run.saved)}
    return {"type": "run", **record, **told, "outputs": outputs, "error": run.error, "settled": settled, **cost}


def _step_line(run: str, step: PastStep) -> dict[str, Any]:
    told = {"node": step.node, "attempt": step.attempt, "outcome": step.outcome, "reason": step.reason}
    return {"type": "step", "run": run, "step": step.step, **told, "seconds": step.seconds}


def _call_line(run: str, call: PastCall, request: Any, answer: Any) -> dict[str, Any]:
    what = {"kind": call.kind, "target": call.target, "model": call.model, "effect": call.effect, "reused": call.reused}
    cost = {"usage": asdict(call.usage), "saved": asdict(call.saved)}
    place = {"type": "call", "run": run, "step": call.step, "ordinal": call.ordinal, "at": call.at.isoformat()}
    return {**place, **what, "request": request, "answer": answer, **cost}


def _with_parents(reading: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Ids by number of these runs and of all that they need to be gone on with, each after those that it needs."""
    taken: dict[int, str] = {}
    for number in numbers:
        line: dict[int, str] = {}
        needed: int | None = number
        while needed is not None and needed not in taken and needed not in line:
            query = "SELECT run, parent, status, tenant FROM runs WHERE id = ?"
            line[needed], parent, status, tenant = reading.execute(query, (needed,)).fetchone()
            needed = None if status == "finished" else number_of(reading, parent, tenant)
        taken.update(reversed(line.items()))
    return taken


def refuse_uncopied(source: Path, run: str) -> None:
    """Refuse a run that cannot be copied whole.

    Raises:
        StoreError: See above; it says what is damaged.
    """
    with closing(open_to_read(source)) as reading, closing(sqlite3.connect(":memory:", isolation_level=None)) as writing:
        with faults(source, "read"):
            number = known_run(reading, run)
        _write(_Copy(source, reading, writing), {number: run})


def _write(copy: _Copy, runs: Mapping[int, str]) -> None:
    copy.writing.execute("BEGIN")
    create_tables(copy.writing)
    for number, run in runs.items():
        with sound(copy.source, run, "a record"):
            copy.run(number)
    copy.writing.execute("COMMIT")


@dataclass
class _Copy:
    """Copies runs from one journal to another; what they share is copied once, under new numbers."""

    source: Path
    reading: sqlite3.Connection
    writing: sqlite3.Connection
    texts: dict[int, int] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)

    def run(self, number: int) -> None:
        """Copy a run.

        Raises:
            LookupError: Something that it needs is not there.
            ValueError: A value is one that no journal writes.
        """
        parts, sources, *rest = self._row("runs", _RUN_COLUMNS, number)
        texts = [self._shared(self.texts, "texts", "hash, body", text) for text in (parts, sources)]
        self._of_run(number, self._insert("runs", _RUN_COLUMNS, [*texts, *rest]))

    def _of_run(self, number: int, new: int) -> None:
        calls = "answer, step, key, nth, seq, ordinal, kind, target, deterministic, effect, at, reused"
        for answer, *rest in self._rows("calls", calls, number, "seq"):
            copied = self._shared(self.answers, "answers", _ANSWER_COLUMNS, answer)
            self._insert("calls", f"run, {calls}", [new, copied, *rest])
        for table, columns, order in (
            ("settled", "step, value", "step"),
            ("notes", "seq, step, kind, body, at", "seq"),
            ("intents", "step, key, nth, idempotency_key, target, request, at", "step, key, nth"),
        ):
            for row in self._rows(table, columns, number, order):
                self._insert(table, f"run, {columns}", [new, *row])

    def _shared(self, copied: dict[int, int], table: str, columns: str, number: int) -> int:
        if number not in copied:
            copied[number] = self._insert(table, columns, self._row(table, columns, number))
        return copied[number]

    def _rows(self, table: str, columns: str, run: int, order: str) -> list[Any]:
        with faults(self.source, "read"):
            query = f"SELECT {columns} FROM {table} WHERE run = ? ORDER BY {order}"
            return self.reading.execute(query, (run,)).fetchall()

    def _row(self, table: str, columns: str, number: int) -> Sequence[Any]:
        with faults(self.source, "read"):
            row: Sequence[Any] | None = self.reading.execute(
                f"SELECT {columns} FROM {table} WHERE id = ?", (number,)
            ).fetchone()
        if row is None:
            raise LookupError(f"{table} lacks number {number}")
        return row

    def _insert(self, table: str, columns: str, row: Sequence[Any]) -> int:
        marks = ", ".join("?" * len(row))
        try:
            done = self.writing.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)
        except sqlite3.IntegrityError as error:
            raise ValueError(str(error)) from error
        return cast("int", done.lastrowid)
