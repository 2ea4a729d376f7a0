"""A replay answers from the record alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrag.core.errors import ReplayError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

SAMPLES = [called(nth=nth, sampled=True) for nth in range(10)]


async def recorded(path: Path) -> tuple[SqliteJournal, list[str]]:
    """A journal with a run of ten samples and one deterministic call made in two steps; the answers."""
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("r", "g"))
    answers = [await service.answer(call, journal) for call in SAMPLES]
    answers += [await service.answer(called("x", step=step), journal) for step in ("flow.1:a", "flow.2:b")]
    journal.settle("r", "flow.3:race", "left")
    journal.end("r", "finished", b'{"answer": "x"}')
    return journal, answers


@pytest.mark.parametrize("as_path", [True, False], ids=["file", "journal"])
async def test_every_call_is_answered_as_it_was_and_none_is_made(path: Path, as_path: bool) -> None:
    journal, answers = await recorded(path)
    replay, service = ReplayJournal(path if as_path else journal, "r"), Service()
    replay.begin(RunRecord("again", "g"))
    calls = [*reversed(SAMPLES), called("x", step="flow.1:a"), called("x", step="flow.2:b")]
    given = [await service.recorded(call, replay) for call in calls]
    assert [answer.value for answer in given] == [*reversed(answers[:10]), *answers[10:]]
    assert all(answer.reused for answer in given)
    assert service.asked == []
    assert replay.settled("again", "flow.3:race") == "left"
    replay.close()
    journal.close()


async def test_a_deterministic_call_is_answered_wherever_it_is_made(path: Path) -> None:
    journal, _ = await recorded(path)
    assert await Service().answer(called("x", step="flow.9:other"), ReplayJournal(journal, "r")) == "11 x"
    journal.close()


@pytest.mark.parametrize(
    "call",
    [called("other"), called(nth=10, sampled=True), called(step="flow.9:other", sampled=True), called("x", tenant="t")],
    ids=["request", "sample", "step", "tenant"],
)
async def test_a_call_without_an_answer_is_an_error_that_names_the_step(path: Path, call: object) -> None:
    journal, _ = await recorded(path)
    service = Service()
    with pytest.raises(ReplayError, match=r"Step flow\.\d:\w+: the record has no answer for this tool call to service"):
        await service.answer(call, ReplayJournal(journal, "r"))  # type: ignore[arg-type]  # a table of cases
    assert service.asked == []
    journal.close()


async def test_nothing_is_written(path: Path) -> None:
    journal, _ = await recorded(path)
    journal.close()
    before = path.read_bytes()
    replay = ReplayJournal(path, "r")
    replay.begin(RunRecord("again", "g"))
    replay.note("again", "flow.0:write", "step", {})
    replay.settle("again", "flow.0:write", 1)
    replay.settle("again", "flow.3:race", "right")
    await Service().answer(SAMPLES[0], replay)
    assert [replay.settled("again", step) for step in ("flow.0:write", "flow.3:race")] == [1, "left"]
    replay.end("again", "finished", b"{}")
    replay.close()
    replay.close()
    assert path.read_bytes() == before


def test_an_unknown_run_is_an_error_that_names_the_nearest(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("run-1", "g"))
    with pytest.raises(StoreError, match=r"Unknown run 'run-2'\. Did you mean 'run-1'\?"):
        ReplayJournal(journal, "run-2")
    journal.close()


def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(StoreError, match=r"Journal .*journal\.sqlite is not there"):
        ReplayJournal(path, "r")
    assert not path.exists()
