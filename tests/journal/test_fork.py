"""A fork takes over what its parent was answered, and pays only from the first changed call on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.calls import Effect, OutwardCall
from agentrag.core.errors import InDoubtError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.retention import delete_runs
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import TEXT, Service, called


async def parent_of(journal: SqliteJournal, service: Service, *steps: str, effect: Effect = "none") -> None:
    """A finished run that made one sampled call, or one write, with the same request in every step."""
    journal.begin(RunRecord("parent", "g"))
    for step in steps:
        await service.answer(called(run="parent", step=step, sampled=True, effect=effect), journal)
    journal.end("parent", "finished")


async def test_an_equal_call_at_another_step_takes_the_first_that_is_free(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:a", "flow.1:b", "flow.2:c")
    journal.begin(RunRecord("fork", "g", parent="parent"))
    steps = ["flow.1:b", "flow.5:x", "flow.6:y", "flow.7:z"]
    given = [await service.recorded(called(run="fork", step=step, sampled=True), journal) for step in steps]
    assert [answer.value for answer in given] == ["2 Why?", "1 Why?", "3 Why?", "4 Why?"]
    assert [answer.reused for answer in given] == [True, True, True, False]
    journal.close()


async def test_a_deterministic_answer_of_the_parent_serves_any_number_of_calls(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("parent", "g"))
    await service.answer(called(run="parent"), journal)
    journal.begin(RunRecord("fork", "g", parent="parent"))
    for step in ("flow.3:a", "flow.4:b", "flow.5:c"):
        assert await service.answer(called(run="fork", step=step), journal) == "1 Why?"
    journal.close()


async def test_a_fork_that_is_resumed_takes_no_answer_twice(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:a", "flow.1:b")
    journal.begin(RunRecord("fork", "g", parent="parent"))
    assert await service.answer(called(run="fork", step="flow.7:x", sampled=True), journal) == "1 Why?"
    journal.close()
    journal = SqliteJournal(path)
    journal.begin(RunRecord("fork", "g"))
    steps = ["flow.7:x", "flow.8:y", "flow.9:z"]
    answers = [await service.answer(called(run="fork", step=step, sampled=True), journal) for step in steps]
    assert answers == ["1 Why?", "2 Why?", "3 Why?"]
    journal.close()


async def test_a_fork_of_a_fork_takes_what_that_was_given(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:a")
    for run, parent in [("child", "parent"), ("grandchild", "child")]:
        journal.begin(RunRecord(run, "g", parent=parent))
        assert (await service.recorded(called(run=run, step="flow.0:a", sampled=True), journal)).reused
    journal.close()


@pytest.mark.parametrize(
    ("cut", "taken"),
    [
        ("flow.0:a", 0),
        ("flow.1.repeat", 1),
        ("flow.1.repeat#2", 2),
        ("flow.1.repeat#2.0:b", 2),
        ("flow.2.each", 3),
        ("flow.2.each[1]", 4),
        ("flow.3:d", 5),
    ],
)
async def test_a_cut_leaves_out_what_was_made_at_the_step_or_later(path: Path, cut: str, taken: int) -> None:
    steps = ["flow.0:a~2", "flow.1.repeat#1.0:b", "flow.1.repeat#2.0:b", "flow.2.each[0].0:c", "flow.2.each[1].0:c", "flow.3:d"]
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, *steps)
    journal.begin(RunRecord("fork", "g", parent="parent", cut=cut))
    given = [await service.recorded(called(run="fork", step=step, sampled=True), journal) for step in steps]
    assert [answer.reused for answer in given] == [True] * taken + [False] * (6 - taken)
    journal.close()


async def test_a_cut_may_be_a_step_that_made_no_call(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("parent", "g"))
    await service.answer(called(run="parent", step="flow.0:a", sampled=True), journal)
    journal.note("parent", "flow.1:cite", "step", {"node": "cite"})
    await service.answer(called(run="parent", step="flow.2:c", sampled=True), journal)
    journal.begin(RunRecord("fork", "g", parent="parent", cut="flow.1:cite"))
    given = [await service.recorded(called(run="fork", step=step, sampled=True), journal) for step in ("flow.0:a", "flow.2:c")]
    assert [answer.reused for answer in given] == [True, False]
    journal.close()


@pytest.mark.parametrize("cut", [None, "flow.0:send"])
async def test_a_write_of_the_parent_is_never_made_again(path: Path, cut: str | None) -> None:
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:send", effect="write")
    journal.begin(RunRecord("fork", "g", parent="parent", cut=cut))
    write = called(run="fork", step="flow.0:send", effect="write")
    assert (await service.recorded(write, journal)).reused
    assert not (await service.recorded(called("other", run="fork", step="flow.0:send", effect="write"), journal)).reused
    assert service.asked == ["Why?", "other"]
    journal.close()


async def test_a_write_that_the_parent_may_have_made_is_in_doubt_for_the_fork_too(path: Path) -> None:
    journal, service = SqliteJournal(path), Service(failing=1)
    begun = called(run="parent", step="flow.0:send", effect="write")
    journal.begin(RunRecord("parent", "g"))
    with pytest.raises(ConnectionError):
        await service.answer(begun, journal)
    journal.begin(RunRecord("fork", "g", parent="parent"))
    write = called(run="fork", step="flow.0:send", effect="write")
    for _ in range(2):
        with pytest.raises(InDoubtError) as caught:
            await service.answer(write, journal)
        assert (caught.value.run, caught.value.idempotency_key) == ("fork", begun.idempotency_key)
        journal.begin(RunRecord("fork", "g"))
    journal.settle("fork", begun.idempotency_key, {"result": "sent"})
    assert await service.answer(write, journal) == "sent"
    assert service.asked == ["Why?"]
    journal.close()


async def test_the_parent_of_a_fork_that_can_be_gone_on_with_is_not_deleted(path: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:a", "flow.1:b")
    journal.begin(RunRecord("fork", "g", parent="parent"))
    await service.answer(called(run="fork", step="flow.0:a", sampled=True), journal)
    journal.end("fork", "failed")
    journal.begin(RunRecord("newest", "g"))
    journal.end("newest", "finished")
    journal.close()
    assert delete_runs(path, keep=2).runs == 0
    journal = SqliteJournal(path)
    journal.begin(RunRecord("fork", "g"))
    given = [await service.recorded(called(run="fork", step=s, sampled=True), journal) for s in ("flow.0:a", "flow.1:b")]
    assert [answer.reused for answer in given] == [True, True]
    journal.close()


async def test_a_fork_whose_parent_is_gone_is_not_gone_on_with(path: Path) -> None:
    """Writes of the parent would be made again."""
    journal, service = SqliteJournal(path), Service()
    await parent_of(journal, service, "flow.0:a")
    journal.begin(RunRecord("fork", "g", parent="parent"))
    journal.end("fork", "failed")
    journal.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET parent = 'gone' WHERE run = 'fork'")
    journal = SqliteJournal(path)
    with pytest.raises(StoreError, match="the run gone that it was forked from is not in this journal"):
        journal.begin(RunRecord("fork", "g"))
    journal.close()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (RunRecord("one", "g", tenant="b"), "is another tenant's"),
        (RunRecord("one", "g", parts={"flow": "2"}), "began with another"),
    ],
)
def test_an_id_that_another_run_has_is_refused(path: Path, other: RunRecord, said: str) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("one", "g", parts={"flow": "1"}))
    journal.end("one", "failed")
    with pytest.raises(StoreError, match=said):
        journal.begin(other)
    journal.begin(RunRecord("one", "g", parts={"flow": "1"}))
    journal.close()


@pytest.mark.parametrize("again", [False, True], ids=["begun once", "resumed"])
async def test_a_fork_does_a_write_in_doubt_again_under_the_name_that_its_parent_sent(path: Path, again: bool) -> None:
    """So a server that was sent it before can refuse it."""
    journal, sent = SqliteJournal(path), list[str]()
    begun = called(run="parent", step="flow.0:send", effect="write")
    write = called(run="fork", step="flow.0:send", effect="write")

    async def send(call: OutwardCall) -> None:
        async def work() -> str:
            sent.append(journal.name_of(call))
            if len(sent) == 1:
                raise ConnectionError("no line")
            return "sent"

        await journal.call(call, work, TEXT)

    journal.begin(RunRecord("parent", "g"))
    with pytest.raises(ConnectionError):
        await send(begun)
    journal.begin(RunRecord("fork", "g", parent="parent"))
    if again:
        with pytest.raises(InDoubtError):
            await send(write)
        journal.begin(RunRecord("fork", "g"))
    journal.settle("fork", begun.idempotency_key, {"redo": True})
    await send(write)
    await send(called("other", run="fork", step="flow.1:send", effect="write"))
    assert sent[:2] == [begun.idempotency_key] * 2
    assert sent[2] not in sent[:2]
    assert write.idempotency_key != begun.idempotency_key
    journal.close()
