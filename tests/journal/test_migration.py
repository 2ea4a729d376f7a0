"""A journal of version 0.1 is taken over with all that it knows."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.schema import FORMAT
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

OLD_SCHEMA = """
CREATE TABLE calls (
    run TEXT NOT NULL, step TEXT NOT NULL, ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL, deterministic INTEGER NOT NULL,
    request TEXT NOT NULL, response BLOB NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL,
    reused INTEGER NOT NULL,
    PRIMARY KEY (run, step, ordinal)
) WITHOUT ROWID;
CREATE INDEX calls_by_key ON calls (key) WHERE deterministic AND NOT reused;
"""
STEP = "flow.0:write"


def old_call(
    run: str, ordinal: int, text: str, answer: str, *, sampled: bool = False, reused: bool = False
) -> tuple[object, ...]:
    """A row as version 0.1 wrote it. Later ordinals ended first: they were in flight at once."""
    request = json.dumps({"text": text}, ensure_ascii=False, sort_keys=True)
    key = hashlib.sha256(json.dumps(["tool", "service", {"text": text}], sort_keys=True).encode()).hexdigest()
    at = f"2026-11-0{run}T10:00:{30 - ordinal:02}+00:00"
    response = b"" if reused else json.dumps(answer).encode()
    return (run, STEP, ordinal, "tool", "service", key, not sampled, request, response, 0.5, at, reused)


@pytest.fixture
def old(path: Path) -> Path:
    """Run 1 with two samples and a deterministic call, run 2 that reused the latter."""
    calls = [
        old_call("1", 0, "a", "first a", sampled=True),
        old_call("1", 1, "a", "second a", sampled=True),
        old_call("1", 2, "ü", "for ever"),
        old_call("2", 0, "ü", "", reused=True),
    ]
    with sqlite3.connect(path) as database:
        database.executescript(OLD_SCHEMA)
        database.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * 12)})", calls)
    database.close()
    return path


async def test_its_answers_are_reused(old: Path) -> None:
    journal, service = SqliteJournal(old, reuse=True), Service()
    assert await service.answer(called("ü", run="3"), journal) == "for ever"
    journal.close()


async def test_its_runs_can_be_resumed_and_replayed(old: Path) -> None:
    journal, service = SqliteJournal(old), Service()
    for run in ("1", "2"):
        journal.begin(RunRecord(run, ""))
    calls = [called("a", run="1", nth=nth, sampled=True) for nth in range(2)]
    calls += [called("ü", run="1"), called("ü", run="2")]
    expected = ["first a", "second a", "for ever", "for ever"]
    assert [await service.answer(call, journal) for call in calls] == expected
    journal.close()
    assert [await service.answer(call, ReplayJournal(old, "1")) for call in calls] == expected
    assert service.asked == []


def test_its_history_can_be_read(old: Path) -> None:
    with History(old) as history:
        second, first = history.runs()
        assert [call.ordinal for call in history.calls("1")] == [2, 1, 0]
    assert (first.record.run, first.status, first.usage.calls, first.seconds) == ("1", "finished", 3, 2.0)
    assert (second.usage.calls, second.usage.reused, second.saved.seconds) == (0, 1, 0.5)
    assert first.started.isoformat() == "2026-11-01T10:00:28+00:00"


def test_a_journal_that_cannot_be_taken_over_stays_as_it_is(old: Path) -> None:
    with sqlite3.connect(old) as database:
        database.execute("UPDATE calls SET at = 'soon' WHERE ordinal = 2")
        before = database.execute("SELECT * FROM calls").fetchall()
    with pytest.raises(StoreError, match=r"Journal .* cannot be used: Invalid isoformat string: 'soon'"):
        SqliteJournal(old)
    with sqlite3.connect(old) as database:
        assert database.execute("SELECT * FROM calls").fetchall() == before


def test_a_newer_journal_is_refused(path: Path) -> None:
    SqliteJournal(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    for opened in (SqliteJournal, History):
        with pytest.raises(StoreError, match=r"a newer agentrag made it \(format 3; this one reads format 2\)\. Update"):
            opened(path)
