"""Faults of a server never show the key that it was sent."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.ports import RunRecord
from agentrag.journal.sqlite import SqliteJournal
from agentrag.models.breaker import LONGEST_REST, Breaker
from agentrag.models.faults import refused, reported, retry_after

KEY = "sk-0123456789"


def test_a_key_that_a_server_says_back_is_hidden_wherever_it_stands() -> None:
    payload = json.dumps({"error": {"message": "x" * 295 + KEY}}).encode()  # cut for display in the middle of the key
    for error in (refused("M", 400, {}, payload, KEY), reported("M", {"message": f"wrong {KEY}"}, KEY)):
        assert "sk-0" not in str(error)
        assert "*" in str(error)


def test_a_key_in_a_stream_or_in_an_address_is_hidden_before_the_text_is_cut() -> None:
    behind = reported("M", {"message": "x" * 290 + KEY}, KEY)
    moved = refused("M", 302, {"location": f"https://x/?key={KEY}"}, b"", KEY)
    for error in (behind, moved):
        assert "sk-" not in str(error)


@pytest.mark.parametrize("value", ["inf", "nan", "1e400", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_wait_without_an_end_is_none(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or isfinite(seconds)
    breaker = Breaker("host:80", faults=1)
    with pytest.raises(ModelError), breaker.call():
        raise ModelError("busy", retryable=True, retry_after=1e300)
    assert breaker.rest <= LONGEST_REST


def test_half_characters_of_a_server_can_be_written() -> None:
    text = str(refused("M", 400, {}, b'{"error": {"message": "bad \\ud83d tail"}}', ""))
    assert "bad ? tail" in text


def test_a_journal_takes_errors_and_notes_with_half_characters(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.begin(RunRecord("r", "g"))
    journal.note("r", "step", "warning", {"text": "bad \ud83d"})
    journal.end("r", "failed", error="bad \ud83d tail")
    assert journal.noted("r", "warning") == [("step", {"text": "bad ?"})]
    journal.close()
