"""Reads back what runs did: for people, for the ledger, and for what a graph is expected to cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from agentrag.core.errors import UnknownNameError
from agentrag.core.ports import RunRecord, RunStatus
from agentrag.core.types import Usage
from agentrag.journal.lookup import known_run, nearest
from agentrag.journal.past import Expected, PastCall, PastNote, PastRun, PastStep, total
from agentrag.journal.schema import faults, open_to_read
from agentrag.journal.steps import mean, steps_of

_USAGE = frozenset(field.name for field in fields(Usage))
_RUN = """
    SELECT runs.run, graph, ref, tenant, inputs, parts.body, sources.body, options, parent, cut,
           status, started, ended, seconds, outputs, error
    FROM runs JOIN texts AS parts ON parts.id = runs.parts JOIN texts AS sources ON sources.id = runs.sources"""
_CALLS = """
    SELECT step, ordinal, kind, target, effect, at, reused, answers.seconds, answers.id, seq,
           CASE kind WHEN 'chat' THEN json_extract(CAST(body AS TEXT), '$.usage', '$.model') END
    FROM calls JOIN answers ON answers.id = calls.answer WHERE run = ? ORDER BY seq"""


class History:
    """Runs of a journal's file, which is opened without the right to change it.

    Use it in a `with` statement, or close it.

    Raises:
        StoreError: From every method: the file is no journal or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_to_read(path)
        self._lock = Lock()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._database.close()

    def runs(self, graph: str | None = None, status: RunStatus | None = None, limit: int | None = 20) -> list[PastRun]:
        """Runs, newest first: those of one graph, or that ended in one way, at most `limit`."""
        query = f"{_RUN} WHERE (?1 IS NULL OR graph = ?1) AND (?2 IS NULL OR status = ?2) ORDER BY runs.id DESC LIMIT ?3"
        rows = self._rows(query, (graph, status, -1 if limit is None else limit))
        return [self._run(row) for row in rows]

    def run(self, name: str) -> PastRun:
        """One run, by its id or the beginning of it.

        Raises:
            UnknownNameError: No run has this id, or several begin so.
        """
        (row,) = self._rows(f"{_RUN} WHERE runs.run = ?", (self.full_id(name),))
        return self._run(row)

    def full_id(self, name: str) -> str:
        """Id of a run, by its id or the beginning of it.

        Raises:
            UnknownNameError: No run has this id, or several begin so.
        """
        query = "SELECT run FROM runs WHERE run = ?1 OR substr(run, 1, length(?1)) = ?1 ORDER BY run"
        found: list[str] = [run for (run,) in self._rows(query, (name,))]
        if name in found or len(found) == 1:
            return name if name in found else found[0]
        known = found[:10] or nearest(name, {run for (run,) in self._rows("SELECT run FROM runs", ())})
        raise UnknownNameError("run", name, known)

    def calls(self, run: str) -> list[PastCall]:
        """Outward calls of a run, by its full id, in the order of their ends."""
        return [_call(row) for row in self._rows(_CALLS, (self._number(run),))]

    def exchange(self, call: PastCall) -> tuple[Any, Any]:
        """What a call asked and what it was answered, as JSON data."""
        ((request, body),) = self._rows("SELECT request, body FROM answers WHERE id = ?", (call.answer,))
        return json.loads(request), json.loads(body)

    def steps(self, run: str) -> list[PastStep]:
        """Attempts of steps of a run, by its full id, in the order in which the first thing in each ended."""
        return steps_of(self.calls(run), self.notes(run))

    def notes(self, run: str) -> list[PastNote]:
        """All notes of a run, by its full id, in order."""
        query = "SELECT step, kind, body, at, seq FROM notes WHERE run = ? ORDER BY seq"
        rows = self._rows(query, (self._number(run),))
        return [PastNote(step, kind, json.loads(body), utc(at), seq) for step, kind, body, at, seq in rows]

    def settled(self, run: str) -> dict[str, Any]:
        """What was decided by chance, by time or by people in a run, by its full id: JSON data by step."""
        rows = self._rows("SELECT step, value FROM settled WHERE run = ? ORDER BY step", (self._number(run),))
        return {step: json.loads(value) for step, value in rows}

    def expected(self, graph: str) -> Expected | None:
        """What the latest finished runs of a graph, at most 100, cost in the mean; None where there are none.

        An answer counts once in a run, and in full also where an earlier run had paid for it. Forks do not count.
        """
        query = """SELECT run, seconds FROM runs WHERE graph = ? AND status = 'finished' AND parent IS NULL
                   ORDER BY id DESC LIMIT 100"""
        rows = self._rows(query, (graph,))
        return mean([self.steps(run) for run, _ in rows], [seconds for _, seconds in rows]) if rows else None

    def in_doubt(self, run: str) -> dict[str, str]:
        """Targets of the writes of a run whose result is not known, by idempotency key."""
        query = "SELECT idempotency_key, target FROM intents WHERE run = ? ORDER BY at"
        return dict(self._rows(query, (self._number(run),)))

    def _run(self, row: tuple[Any, ...]) -> PastRun:
        run, graph, ref, tenant, inputs, parts, sources, options, parent, cut = row[:10]
        given, hashes, texts, how = (json.loads(text) for text in (inputs, parts, sources, options))
        record = RunRecord(run, graph, ref, tenant, given, hashes, texts, how, parent, cut)
        status, started, ended, seconds, outputs, error = row[10:]
        calls = self.calls(run)
        paid, saved = total(call.usage for call in calls), total(call.saved for call in calls)
        over = None if ended is None else utc(ended)
        return PastRun(record, status, utc(started), over, seconds, outputs, error, paid, saved)

    def _number(self, run: str) -> int:
        with self._lock, faults(self.path, "read"):
            return known_run(self._database, run)

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock, faults(self.path, "read"):
            return self._database.execute(query, values).fetchall()


def utc(at: float) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(at, UTC)


def _call(row: tuple[Any, ...]) -> PastCall:
    step, ordinal, kind, target, effect, at, reused, seconds, answer, seq, told = row
    usage, model = json.loads(told) if told else (None, None)
    counted = Usage(calls=0 if kind in ("clock", "random") else 1)
    if usage:
        counted = Usage(**{name: value for name, value in usage.items() if name in _USAGE})
    cost = replace(counted, seconds=seconds)
    paid, saved = (Usage(reused=1), cost) if reused else (cost, Usage())
    return PastCall(step, ordinal, kind, target, model or "", effect, utc(at), paid, saved, answer, seq)
