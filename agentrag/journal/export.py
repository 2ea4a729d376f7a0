"""Takes runs out of a journal: as a cassette that replays them, or as lines of JSON for people and for training."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from agentrag.core.errors import StoreError
from agentrag.core.redact import redacted
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
        with faults(unfinished, "written"):
            _write(reading, list(taken), unfinished)
        unfinished.replace(target)
    except OSError as error:
        raise StoreError(f"Journal {target} cannot be written: {error}") from error
    finally:
        reading.close()
        unfinished.unlink(missing_ok=True)
    return tuple(taken.values())


def export_lines(source: Path, runs: Sequence[str], tenant: str | None = None) -> Iterator[str]:
    """Runs as lines of JSON without credentials: a line per run, then one per step, each followed by its calls.

    Lines are {"type": "run" | "step" | "call", "run": ID, ...}; a call holds its whole request and answer.

    Args:
        source: The journal's file.
        runs: Full ids.
        tenant: As in `export_cassette`.

    Raises:
        StoreError: A run is unknown, or the file cannot be read.
    """
    with History(source, tenant) as history:
        for run in runs:
            history.calls(run)  # before the first line: an unknown run must not leave half an export
        for run in runs:
            for line in _lines(history, run):
                yield json.dumps(redacted(line), ensure_ascii=False)


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
            query = "SELECT run, parent, status FROM runs WHERE id = ?"
            line[needed], parent, status = reading.execute(query, (needed,)).fetchone()
            needed = None if status == "finished" else number_of(reading, parent)
        taken.update(reversed(line.items()))
    return taken


def _write(reading: sqlite3.Connection, numbers: Sequence[int], target: Path) -> None:
    writing = sqlite3.connect(target, isolation_level=None)
    try:
        writing.execute("BEGIN")
        create_tables(writing)
        _Copy(reading, writing).runs(numbers)
        writing.execute("COMMIT")
    finally:
        writing.close()


class _Copy:
    """Copies runs from one journal to another; what they share is copied once, under new numbers."""

    def __init__(self, reading: sqlite3.Connection, writing: sqlite3.Connection) -> None:
        self._reading, self._writing = reading, writing
        self._texts: dict[int, int] = {}
        self._answers: dict[int, int] = {}

    def runs(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            parts, sources, *rest = self._reading.execute(f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?", (number,)).fetchone()
            texts = [self._shared(self._texts, "texts", "hash, body", text) for text in (parts, sources)]
            self._of_run(number, self._insert("runs", _RUN_COLUMNS, [*texts, *rest]))

    def _of_run(self, number: int, new: int) -> None:
        calls = "answer, step, key, nth, seq, ordinal, kind, target, deterministic, effect, at, reused"
        for answer, *rest in self._rows("calls", calls, number, "seq"):
            copied = self._shared(self._answers, "answers", _ANSWER_COLUMNS, answer)
            self._insert("calls", f"run, {calls}", [new, copied, *rest])
        for table, columns, order in (
            ("settled", "step, value", "step"),
            ("notes", "seq, step, kind, body, at", "seq"),
            ("intents", "step, key, nth, idempotency_key, target, request, at", "step, key, nth"),
        ):
            for row in self._rows(table, columns, number, order):
                self._insert(table, f"run, {columns}", [new, *row])

    def _rows(self, table: str, columns: str, run: int, order: str) -> list[Any]:
        return self._reading.execute(f"SELECT {columns} FROM {table} WHERE run = ? ORDER BY {order}", (run,)).fetchall()

    def _shared(self, copied: dict[int, int], table: str, columns: str, number: int) -> int:
        if number not in copied:
            row = self._reading.execute(f"SELECT {columns} FROM {table} WHERE id = ?", (number,)).fetchone()
            copied[number] = self._insert(table, columns, row)
        return copied[number]

    def _insert(self, table: str, columns: str, row: Sequence[Any]) -> int:
        marks = ", ".join("?" * len(row))
        return cast("int", self._writing.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row).lastrowid)
