"""Writes: intended before they are made, and never made again without a person's word."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from agentrag.core.errors import InDoubtError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

WRITE = called(effect="write")


async def in_doubt(path: Path, service: Service) -> SqliteJournal:
    """A journal whose run `r` was resumed after its write failed; `service` fails at its first call."""
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(ConnectionError):
        await service.answer(WRITE, journal)
    journal.close()
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    return journal


async def test_the_intent_is_durable_before_the_write_begins(path: Path) -> None:
    journal, seen = SqliteJournal(path), list[object]()

    async def work() -> str:
        with sqlite3.connect(path) as database:
            seen.extend(database.execute("SELECT step, idempotency_key, target, request FROM intents"))
        return "sent"

    await journal.call(WRITE, work, TypeAdapter(str))
    assert seen == [("flow.0:write", WRITE.idempotency_key, "service", '{"text":"Why?"}')]
    with History(path) as history:
        assert history.in_doubt("r") == {}
    journal.close()


async def test_writes_in_doubt_are_told(path: Path) -> None:
    journal = await in_doubt(path, Service(failing=1))
    with History(path) as history:
        assert history.in_doubt("r") == {WRITE.idempotency_key: "service"}
    journal.close()


async def test_another_attempt_does_not_make_a_failed_write_again(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(failing=1)
    with pytest.raises(ConnectionError):
        await service.answer(WRITE, journal)
    with pytest.raises(InDoubtError) as caught:
        await service.answer(called(step="flow.0:write~2", effect="write"), journal)
    assert caught.value.idempotency_key == WRITE.idempotency_key
    assert service.asked == ["Why?"]
    journal.close()


async def test_another_attempt_does_not_make_a_finished_write_again(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await service.answer(WRITE, journal)
    assert await service.answer(called(step="flow.0:write~2", effect="write"), journal) == "1 Why?"
    assert await service.answer(called(step="flow.0:write#2", effect="write"), journal) == "2 Why?"
    journal.close()


async def test_equal_writes_of_one_step_are_all_made(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    answers = [await service.answer(called(nth=nth, effect="write"), journal) for nth in range(3)]
    assert answers == ["1 Why?", "2 Why?", "3 Why?"]
    journal.close()


async def test_leave_to_make_a_write_again_is_for_one_time(path: Path) -> None:
    service = Service(failing=2)
    journal = await in_doubt(path, service)
    journal.settle("r", WRITE.idempotency_key, {"redo": True})
    with pytest.raises(ConnectionError):
        await service.answer(WRITE, journal)
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(InDoubtError):
        await service.answer(WRITE, journal)
    journal.settle("r", WRITE.idempotency_key, {"redo": True})
    assert await service.answer(WRITE, journal) == "3 Why?"
    journal.close()


@pytest.mark.parametrize("decision", [{"result": 7}, {"redo": False}, {"done": 1}, "redo", None])
async def test_what_settles_nothing_leaves_the_write_in_doubt(path: Path, decision: object) -> None:
    service = Service(failing=1)
    journal = await in_doubt(path, service)
    journal.settle("r", WRITE.idempotency_key, decision)
    with pytest.raises(InDoubtError):
        await service.answer(WRITE, journal)
    journal.settle("r", WRITE.idempotency_key, {"result": "sent"})
    assert await service.answer(WRITE, journal) == "sent"
    assert service.asked == ["Why?"]
    journal.close()


async def test_a_settled_result_is_recorded_as_an_answer_that_cost_nothing(path: Path) -> None:
    journal = await in_doubt(path, Service(failing=1))
    journal.settle("r", WRITE.idempotency_key, {"result": "sent"})
    await Service().answer(WRITE, journal)
    with History(path) as history:
        (call,) = history.calls("r")
        assert history.exchange(call) == ({"text": "Why?"}, "sent")
        assert history.in_doubt("r") == {}
    assert (call.reused, call.effect, call.seconds) == (True, "write", 0.0)
    journal.close()
