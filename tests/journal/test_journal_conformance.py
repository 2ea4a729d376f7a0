"""What every journal must do, whatever keeps its records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrag.core.errors import InDoubtError, StoreError
from agentrag.core.ports import Journal, RunRecord
from agentrag.journal.memory import MemoryJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

Again = Callable[[Journal], Journal]


def _same(journal: Journal) -> Journal:
    return journal


def _opened_anew(journal: Journal) -> Journal:
    assert isinstance(journal, SqliteJournal)
    journal.close()
    return SqliteJournal(journal.path)


@pytest.fixture(params=["memory", "sqlite", "sqlite opened anew"])
def journals(request: pytest.FixtureRequest, path: Path) -> tuple[Journal, Again]:
    """A journal, and what makes the one that a resumed run finds."""
    if request.param == "memory":
        return MemoryJournal(), _same
    return SqliteJournal(path), _opened_anew if request.param == "sqlite opened anew" else _same


async def test_a_resumed_run_is_answered_by_position(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    service = Service()
    calls = [called(text, step=step, sampled=True) for text, step in [("a", "flow.0:x"), ("b", "flow.0:x"), ("a", "flow.1:y")]]
    journal.begin(RunRecord("r", "g"))
    first = [await service.recorded(call, journal) for call in calls]
    journal = again(journal)
    journal.begin(RunRecord("r", "g"))
    second = [await service.recorded(call, journal) for call in reversed(calls)]
    assert [answer.value for answer in second] == ["3 a", "2 b", "1 a"]
    assert [answer.reused for answer in (*first, *second)] == [False] * 3 + [True] * 3
    assert [answer.seconds for answer in reversed(second)] == [answer.seconds for answer in first]
    assert service.asked == ["a", "b", "a"]
    journal.close()


async def test_ten_samples_of_one_prompt_are_ten_records(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    service = Service()
    samples = [called(nth=nth, sampled=True) for nth in range(10)]
    journal.begin(RunRecord("r", "g"))
    first = await asyncio.gather(*(service.answer(call, journal) for call in samples[:6]))
    journal = again(journal)
    journal.begin(RunRecord("r", "g"))
    both = await asyncio.gather(*(service.answer(call, journal) for call in samples))
    assert both[:6] == first
    assert both == [f"{number} Why?" for number in range(1, 11)]
    assert len(service.asked) == 10
    journal.close()


@pytest.mark.parametrize("effect", ["none", "read"])
async def test_a_failed_call_leaves_no_record(journals: tuple[Journal, Again], effect: str) -> None:
    journal, again = journals
    service = Service(failing=1)
    call = called(effect="read" if effect == "read" else "none")
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(ConnectionError, match="no line"):
        await service.answer(call, journal)
    journal = again(journal)
    journal.begin(RunRecord("r", "g"))
    assert (await service.answer(call, journal)) == "2 Why?"
    assert service.asked == ["Why?", "Why?"]
    journal.close()


async def test_a_cancelled_call_leaves_no_record(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    slow, quick = Service(seconds=60), Service()
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow.answer(called(), journal), 0.01)
    journal = again(journal)
    journal.begin(RunRecord("r", "g"))
    assert not (await quick.recorded(called(), journal)).reused
    journal.close()


async def test_the_first_decision_of_a_step_stays(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    journal.begin(RunRecord("r", "g"))
    assert journal.settled("r", "flow.0:race") is None
    journal.settle("r", "flow.0:race", {"winner": "näher"})
    journal.settle("r", "flow.0:race", {"winner": "other"})
    assert journal.settled("r", "flow.0:race") == {"winner": "näher"}
    journal = again(journal)
    assert journal.settled("r", "flow.0:race") == {"winner": "näher"}
    journal.begin(RunRecord("r", "g"))
    journal.settle("r", "flow.0:race", {"winner": "third"})
    assert journal.settled("r", "flow.0:race") == {"winner": "näher"}
    assert journal.settled("other", "flow.0:race") is None
    journal.close()


async def test_runs_know_nothing_of_each_other(journals: tuple[Journal, Again]) -> None:
    journal, _ = journals
    service = Service()
    for run in ("1", "2"):
        journal.begin(RunRecord(run, "g"))
        await service.answer(called(run=run), journal)
        journal.settle(run, "s", run)
        journal.end(run, "finished", b"{}")
    assert len(service.asked) == 2
    assert [journal.settled(run, "s") for run in ("1", "2")] == ["1", "2"]
    journal.close()


async def test_a_fork_takes_its_parents_answers(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    service = Service()
    journal.begin(RunRecord("parent", "g"))
    for step in ("flow.0:a", "flow.1:b", "flow.2:c"):
        await service.answer(called(run="parent", step=step, sampled=True), journal)
    journal.end("parent", "finished")
    journal = again(journal)
    journal.begin(RunRecord("fork", "g", parent="parent", cut="flow.2:c"))
    calls = [called(run="fork", step=step, sampled=True) for step in ("flow.0:a", "flow.1:b", "flow.2:c")]
    assert [(await service.recorded(call, journal)).reused for call in calls] == [True, True, False]
    journal.close()


@pytest.mark.parametrize(
    ("parent", "cut", "message"),
    [
        ("parrent", None, r"Unknown run 'parrent'\. Did you mean 'parent'\?"),
        ("parent", "flow.1:a", r"Unknown step 'flow\.1:a'\. Did you mean 'flow\.0:a'\?"),
    ],
    ids=["parent", "cut"],
)
async def test_what_a_fork_names_must_be_known(
    journals: tuple[Journal, Again], parent: str, cut: str | None, message: str
) -> None:
    journal, _ = journals
    journal.begin(RunRecord("parent", "g"))
    await Service().answer(called(run="parent", step="flow.0:a"), journal)
    with pytest.raises(StoreError, match=message):
        journal.begin(RunRecord("fork", "g", parent=parent, cut=cut))
    journal.begin(RunRecord("fork", "g", parent="parent"))
    journal.close()


async def test_a_write_whose_result_is_not_known_is_not_made_again(journals: tuple[Journal, Again]) -> None:
    journal, again = journals
    service, write = Service(failing=1), called(effect="write")
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(ConnectionError):
        await service.answer(write, journal)
    journal = again(journal)
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(InDoubtError, match=f"resume with --settle {write.idempotency_key}=redo") as caught:
        await service.answer(write, journal)
    assert caught.value.idempotency_key == write.idempotency_key
    assert len(service.asked) == 1
    journal.close()


@pytest.mark.parametrize(
    ("decision", "answer", "reused", "asked"),
    [({"redo": True}, "2 Why?", False, 2), ({"result": "done by hand"}, "done by hand", True, 1)],
    ids=["redo", "result"],
)
async def test_a_person_says_what_became_of_a_write(
    journals: tuple[Journal, Again], decision: dict[str, object], answer: str, reused: bool, asked: int
) -> None:
    journal, again = journals
    service, write = Service(failing=1), called(effect="write")
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(ConnectionError):
        await service.answer(write, journal)
    journal = again(journal)
    journal.settle("r", write.idempotency_key, decision)
    journal.begin(RunRecord("r", "g"))
    given = await service.recorded(write, journal)
    assert (given.value, given.reused) == (answer, reused)
    journal.begin(RunRecord("r", "g"))
    assert await service.answer(write, journal) == answer
    assert len(service.asked) == asked
    journal.close()
