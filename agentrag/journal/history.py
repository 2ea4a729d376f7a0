"""Reads back what runs did: for people, for the ledger, and for what a graph is expected to cost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, cast

from agentrag.core.errors import StoreError, UnknownNameError
from agentrag.core.ports import RunRecord, RunStatus
from agentrag.core.types import Usage
from agentrag.journal.damage import damaged, parsed, parsed_table, sound
from agentrag.journal.lookup import known_run, nearest
from agentrag.journal.owner import is_alive
from agentrag.journal.past import Expected, PastCall, PastNote, PastRun, PastStep, total
from agentrag.journal.schema import faults, knows_owners, open_to_read
from agentrag.journal.steps import mean, steps_of

_USAGE = frozenset(field.name for field in fields(Usage))
_RUN = """
    SELECT runs.run, graph, ref, tenant, inputs, parts.body, sources.body, options, parent, cut,
           status, started, ended, seconds, outputs, error, {owner}
    FROM runs LEFT JOIN texts AS parts ON parts.id = runs.parts LEFT JOIN texts AS sources ON sources.id = runs.sources"""
_CALLS = """
    SELECT step, ordinal, kind, target, effect, at, reused, answers.seconds, answers.id, seq,
           CASE kind WHEN 'chat' THEN json_extract(CAST(body AS TEXT), '$.usage', '$.model') END
    FROM calls LEFT JOIN answers ON answers.id = calls.answer AND answers.key = calls.key WHERE run = ? ORDER BY seq"""
_BROKEN = """
    SELECT step FROM calls JOIN answers ON answers.id = calls.answer
    WHERE run = ? AND kind = 'chat' AND NOT json_valid(CAST(body AS TEXT)) ORDER BY seq LIMIT 1"""


class History:
    """Runs of a journal's file, which is opened without the right to change it.

    Use it in a `with` statement, or close it.

    Args:
        path: The file.
        tenant: Whose runs these are, "" for those of no tenant; all others are as if they were not there. None: all runs.

    Raises:
        StoreError: From every method: the file is no journal or cannot be read.
    """

    def __init__(self, path: Path, tenant: str | None = None) -> None:
        self.path, self.tenant = path, tenant
        self._database = open_to_read(path)
        with faults(path, "read"):
            self._run_query = _RUN.format(owner="owner" if knows_owners(self._database) else "NULL")
        self._lock = Lock()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._database.close()

    def runs(self, graph: str | None = None, status: RunStatus | None = None, limit: int | None = 20) -> list[PastRun]:
        """Runs, newest first: those of one graph, or that ended in one way, at most `limit`.

        Of one that cannot be read is told that, in `damage`, and what there is of it.
        """
        query = """SELECT id FROM runs WHERE (?1 IS NULL OR graph = ?1) AND (?2 IS NULL OR status = ?2)
                   AND (?3 IS NULL OR tenant = ?3) ORDER BY id DESC LIMIT ?4"""
        rows = self._rows(query, (graph, status, self.tenant, -1 if limit is None else limit))
        told = (self._whole_or_damaged(number) for (number,) in rows)
        return [past for past in told if past]

    def run(self, name: str) -> PastRun:
        """One run, by its id or the beginning of it.

        Raises:
            StoreError: It is damaged.
            UnknownNameError: No run has this id, or several begin so.
        """
        return self._run(self._number(self.full_id(name)))

    def full_id(self, name: str) -> str:
        """Id of a run, by its id or the beginning of it.

        Raises:
            UnknownNameError: No run has this id, or several begin so.
        """
        query = """SELECT run FROM runs WHERE (run = ?1 OR substr(run, 1, length(?1)) = ?1)
                   AND (?2 IS NULL OR tenant = ?2) ORDER BY run"""
        found: list[str] = [run for (run,) in self._rows(query, (name, self.tenant))]
        if name in found or len(found) == 1:
            return name if name in found else found[0]
        every = "SELECT run FROM runs WHERE ?1 IS NULL OR tenant = ?1"
        known = found[:10] or nearest(name, {run for (run,) in self._rows(every, (self.tenant,))})
        raise UnknownNameError("run", name, known)

    def calls(self, run: str) -> list[PastCall]:
        """Outward calls of a run, by its full id, in the order of their ends."""
        number = self._number(run)
        try:
            rows = self._rows(_CALLS, (number,), number)
        except StoreError as error:
            if "malformed JSON" not in str(error):
                raise
            ((step,),) = self._rows(_BROKEN, (number,))
            raise damaged(self.path, run, f"the answer to a call of step {step}") from error
        calls: list[PastCall] = []
        for row in rows:
            with sound(self.path, run, f"the answer to a call of step {row[0]}"):
                calls.append(_call(row))
        return calls

    def exchange(self, call: PastCall) -> tuple[Any, Any]:
        """What a call asked and what it was answered, as JSON data."""
        query = """SELECT CAST(request AS BLOB), body,
                          (SELECT runs.run FROM calls JOIN runs ON runs.id = calls.run WHERE answer = answers.id)
                   FROM answers WHERE id = ?"""
        ((request, body, run),) = self._rows(query, (call.answer,))
        asked = parsed(self.path, request, run, f"the request of a call of step {call.step}")
        return asked, parsed(self.path, body, run, f"the answer to a call of step {call.step}")

    def steps(self, run: str) -> list[PastStep]:
        """Attempts of steps of a run, by its full id, in the order in which the first thing in each ended."""
        return steps_of(self.calls(run), self.notes(run))

    def notes(self, run: str) -> list[PastNote]:
        """All notes of a run, by its full id, in order."""
        query = "SELECT step, kind, body, at, seq FROM notes WHERE run = ? ORDER BY seq"
        number = self._number(run)
        rows = self._rows(query, (number,), number)
        with sound(self.path, run, "a note"):
            return [
                PastNote(step, kind, parsed_table(self.path, body, run, f"a note of step {step}"), utc(at), seq)
                for step, kind, body, at, seq in rows
            ]

    def settled(self, run: str) -> dict[str, Any]:
        """What was decided by chance, by time or by people in a run, by its full id: JSON data by step."""
        number = self._number(run)
        rows = self._rows("SELECT step, value FROM settled WHERE run = ? ORDER BY step", (number,), number)
        return {step: parsed(self.path, value, run, f"what was decided at {step}") for step, value in rows}

    def expected(self, graph: str) -> Expected | None:
        """What the latest finished runs of a graph, at most 100, cost in the mean; None where there are none.

        An answer counts once in a run, and in full also where an earlier run had paid for it. Forks do not count, nor do runs
        that are damaged.
        """
        query = """SELECT run, seconds FROM runs WHERE graph = ?1 AND status = 'finished' AND parent IS NULL
                   AND (?2 IS NULL OR tenant = ?2) ORDER BY id DESC LIMIT 100"""
        rows = self._rows(query, (graph, self.tenant))
        steps: list[list[PastStep]] = []
        wall: list[float] = []
        for run, seconds in rows:
            with suppress(StoreError):
                steps.append(self.steps(run))
                wall.append(seconds)
        return mean(steps, wall) if steps else None

    def in_doubt(self, run: str) -> dict[str, str]:
        """Targets of the writes of a run whose result is not known, by idempotency key."""
        query = "SELECT idempotency_key, target FROM intents WHERE run = ? ORDER BY at"
        return dict(self._rows(query, (self._number(run),)))

    def _whole_or_damaged(self, number: int) -> PastRun | None:
        try:
            return self._run(number)
        except StoreError as error:
            return self._damaged(number, str(error))

    def _run(self, number: int) -> PastRun:
        rows = self._rows(f"{self._run_query} WHERE runs.id = ?", (number,), number)
        if not rows:
            raise StoreError(f"Journal {self.path} cannot be read: the run was deleted meanwhile.")
        (row,) = rows
        run, graph, ref, tenant, inputs, parts, sources, options, parent, cut = row[:10]
        tables = {
            "what was given to the inputs": inputs,
            "the hashes of the graph": parts,
            "the text of the graph": sources,
            "how it was started": options,
        }
        given, hashes, texts, how = (parsed_table(self.path, text, run, what) for what, text in tables.items())
        status, started, ended, seconds, outputs, error, owner = row[10:]
        if outputs is not None:
            parsed_table(self.path, outputs, run, "the outputs")
        calls = self.calls(run)
        alive = status == "running" and owner is not None and is_alive(self.path, owner, patience=0.0)
        record = RunRecord(run, graph, ref, tenant, given, hashes, texts, how, parent, cut)
        with sound(self.path, run, "the record"):
            paid, saved = total(call.usage for call in calls), total(call.saved for call in calls)
            over = None if ended is None else utc(ended)
            return PastRun(record, status, utc(started), over, seconds, outputs, error, paid, saved, alive)

    def _damaged(self, number: int, damage: str) -> PastRun | None:
        texts = ", ".join(f"CAST({column} AS BLOB)" for column in ("run", "graph", "tenant", "status"))
        rows = self._rows(f"SELECT {texts}, started FROM runs WHERE id = ?", (number,))
        if not rows:
            return None  # it was deleted meanwhile
        ((*found, started),) = rows
        run, graph, tenant, status = ((text or b"").decode(errors="replace") for text in found)
        stood = cast("RunStatus", status)
        record, begun = RunRecord(run, graph, tenant=tenant), utc(started if isinstance(started, float) else 0.0)
        return PastRun(record, stood, begun, None, 0.0, None, damage, Usage(), Usage(), damage=damage)

    def _number(self, run: str) -> int:
        with self._lock, faults(self.path, "read"):
            return known_run(self._database, run, self.tenant)

    def _rows(self, query: str, values: Sequence[Any], of_run: int | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query; `of_run` is the number of the run that they are of."""
        with self._lock, faults(self.path, "read"):
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if of_run is None or "decode to UTF-8" not in str(error):
                    raise
                (name,) = self._database.execute("SELECT CAST(run AS BLOB) FROM runs WHERE id = ?", (of_run,)).fetchone()
                raise damaged(self.path, name.decode(errors="replace"), "a text") from error


def utc(at: float) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(at, UTC)


def _call(row: tuple[Any, ...]) -> PastCall:
    step, ordinal, kind, target, effect, at, reused, seconds, answer, seq, told = row
    if answer is None:
        raise LookupError("the answer is not there")
    usage, model = json.loads(told) if told else (None, None)
    counted = Usage(calls=0 if kind in ("clock", "random") else 1)
    if usage:
        counted = Usage(**{name: value for name, value in usage.items() if name in _USAGE})
    cost = replace(counted, seconds=seconds)
    paid, saved = (Usage(reused=1), cost) if reused else (cost, Usage())
    return PastCall(step, ordinal, kind, target, model or "", effect, utc(at), paid, saved, answer, seq)
