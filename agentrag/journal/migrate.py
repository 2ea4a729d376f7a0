"""Takes over a journal of version 0.1, which was one table of calls and knew neither runs nor tenants."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import datetime
from typing import Any, NamedTuple, cast

from agentrag.core.calls import CallKind, OutwardCall


class _Old(NamedTuple):
    run: str
    step: str
    ordinal: int
    kind: str
    target: str
    key: str
    deterministic: int
    request: str
    response: bytes
    seconds: float
    at: str
    reused: int
    nth: int
    seq: int


_SELECT = """
    SELECT run, step, ordinal, kind, target, key, deterministic, request, response, seconds, at, reused,
           row_number() OVER (PARTITION BY run, step, key ORDER BY ordinal) - 1,
           row_number() OVER (PARTITION BY run ORDER BY at, step, ordinal)
    FROM old_calls ORDER BY reused, at"""
"""First the calls that were made: a reused one has no answer of its own."""


def has_old_calls(connection: sqlite3.Connection) -> bool:
    """Whether a file is a journal of version 0.1."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(calls)")}
    return "response" in columns


def set_old_calls_aside(connection: sqlite3.Connection) -> None:
    """Make room for the tables of today, inside a transaction."""
    connection.execute("DROP INDEX IF EXISTS calls_by_key")
    connection.execute("ALTER TABLE calls RENAME TO old_calls")


def move_old_calls(connection: sqlite3.Connection) -> None:
    """Move every old call into the tables of today, inside the same transaction.

    Keys are reckoned anew: today's also hold the tenant. How the runs ended was not kept; they count as finished.
    """
    answers: dict[str, int] = {}
    runs: dict[str, int] = {}
    for old in map(_Old._make, connection.execute(_SELECT)):
        if old.run not in runs:
            runs[old.run] = _move_run(connection, old.run)
        call = _today(old)
        number = answers.get(old.key) if old.reused else _move_answer(connection, old, call)
        if number is None:
            # somebody deleted the call that was made: this one has to be made again
            continue
        if old.deterministic:
            answers.setdefault(old.key, number)
        place = (runs[old.run], old.step, call.key, old.nth, old.seq, old.ordinal, old.kind, old.target)
        row = (*place, old.deterministic, call.effect, number, _time(old.at), old.reused)
        connection.execute(f"INSERT INTO calls VALUES ({', '.join('?' * 13)})", row)
    connection.execute("DROP TABLE old_calls")


def _today(old: _Old) -> OutwardCall:
    request: dict[str, Any] = json.loads(old.request)
    return OutwardCall(old.run, old.step, old.ordinal, cast("CallKind", old.kind), old.target, request)


def _move_run(connection: sqlite3.Connection, run: str) -> int:
    empty = "{}"
    digest = hashlib.sha256(empty.encode()).digest()
    connection.execute("INSERT OR IGNORE INTO texts (hash, body) VALUES (?, ?)", (digest, empty))
    (text,) = connection.execute("SELECT id FROM texts WHERE hash = ?", (digest,)).fetchone()
    first, last = connection.execute("SELECT min(at), max(at) FROM old_calls WHERE run = ?", (run,)).fetchone()
    insert = """INSERT INTO runs (run, graph, ref, tenant, status, inputs, parts, sources, options, started, ended, seconds)
                VALUES (?, '', '', '', 'finished', '{}', ?, ?, '{}', ?, ?, ?)"""
    begun, ended = _time(first), _time(last)
    return cast("int", connection.execute(insert, (run, text, text, begun, ended, ended - begun)).lastrowid)


def _move_answer(connection: sqlite3.Connection, old: _Old, call: OutwardCall) -> int:
    row = (call.key, old.deterministic, old.seconds, call.request_json, old.response)
    insert = "INSERT INTO answers (key, deterministic, seconds, request, body) VALUES (?, ?, ?, ?, ?)"
    return cast("int", connection.execute(insert, row).lastrowid)


def _time(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
