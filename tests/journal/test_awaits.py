"""Who waits for an equal call is woken however that ends, and many runs on one journal get on side by side."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.errors import BudgetError, ModelError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import TEXT, Service, called

R = RunRecord("r", "g")
LITTLE_LEFT = BudgetError("calls", 3, "inner", "flow.0:write")
Raised = BaseException | None


class StopAllError(BaseException):
    """What no `except Exception` catches."""


class Script:
    """Ends the calls that it is asked one after the other: raises an error, or answers with its number."""

    def __init__(self, *ends: Raised) -> None:
        self.ends, self.made = list(ends), 0

    async def answer(self, journal: SqliteJournal, nth: int) -> str:
        async def work() -> str:
            number, self.made = self.made, self.made + 1
            await asyncio.sleep(0.01)
            if error := self.ends[number]:
                raise error
            return f"made as number {number}"

        return (await journal.call(called(nth=nth), work, TEXT)).value


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([None], ["made as number 0"] * 3),
        ([ModelError("down")], ["ModelError"] * 3),
        ([TimeoutError()], ["TimeoutError"] * 3),
        ([LITTLE_LEFT, None], ["BudgetError", "made as number 1", "made as number 1"]),
        ([LITTLE_LEFT, LITTLE_LEFT, None], ["BudgetError", "BudgetError", "made as number 2"]),
        ([LITTLE_LEFT] * 3, ["BudgetError"] * 3),
        ([LITTLE_LEFT, ModelError("down")], ["BudgetError", "ModelError", "ModelError"]),
        ([asyncio.CancelledError(), None], ["CancelledError", "made as number 1", "made as number 1"]),
        ([StopAllError(), LITTLE_LEFT, None], ["StopAllError", "BudgetError", "made as number 2"]),
    ],
    ids=["answer", "error", "time", "budget", "budget twice", "no budget", "budget, error", "cancelled", "stopped, budget"],
)
async def test_who_waits_for_an_equal_call_is_woken_however_it_ends(path: Path, ends: list[Raised], told: list[str]) -> None:
    """A failure that says something of the call is that of all; where only the first one is concerned the next one tries."""
    script = Script(*ends)
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        async with asyncio.timeout(5):
            calls = [asyncio.ensure_future(script.answer(journal, nth)) for nth in range(3)]
            await asyncio.wait(calls)
        assert [outcome(call) for call in calls] == told
        assert script.made == len(ends)


def outcome(call: asyncio.Future[str]) -> str:
    if call.cancelled():
        return "CancelledError"
    error = call.exception()
    return type(error).__name__ if error else call.result()


async def test_who_waits_is_woken_where_the_answer_cannot_be_written(path: Path) -> None:
    class Unwritable:
        def dump_json(self, value: str, /) -> bytes:
            raise TypeError("no JSON")

        def validate_json(self, data: bytes, /) -> str:
            return data.decode()

    async def work() -> str:
        await asyncio.sleep(0.01)
        return "an answer"

    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        calls = [journal.call(called(nth=nth), work, Unwritable()) for nth in range(3)]
        async with asyncio.timeout(5):
            told = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in told] == [TypeError] * 3


async def test_who_waits_and_is_cancelled_leaves_the_others_waiting_well(path: Path) -> None:
    script = Script(asyncio.CancelledError(), None)
    with closing(SqliteJournal(path)) as journal:
        journal.begin(R)
        calls = [asyncio.create_task(script.answer(journal, nth)) for nth in range(4)]
        await asyncio.sleep(0.001)
        calls[1].cancel()
        async with asyncio.timeout(5):
            await asyncio.wait(calls)
        assert [outcome(call) for call in calls] == [*["CancelledError"] * 2, *["made as number 1"] * 2]


async def test_500_runs_on_one_journal_get_on_side_by_side(path: Path) -> None:
    """When the first one ends no other one is far behind."""
    runs, calls = 500, 10
    made, behind = dict.fromkeys(range(runs), 0), list[int]()
    service = Service()
    with closing(SqliteJournal(path)) as journal:

        async def run(number: int) -> None:
            name = f"r{number}"
            journal.begin(RunRecord(name, "g"))
            for nth in range(calls):
                await service.answer(called(f"{number} {nth}", run=name, step=f"flow.{nth}:a"), journal)
                made[number] += 1
            behind.append(min(made.values()))
            journal.end(name, "finished")

        async with asyncio.timeout(60):
            await asyncio.gather(*map(run, range(runs)))
    assert behind[0] >= calls - 2
    assert len(service.asked) == runs * calls
    with History(path) as history:
        assert {past.usage.calls for past in history.runs(limit=None)} == {calls}


@pytest.mark.parametrize("runs", [500, pytest.param(20_000, marks=pytest.mark.soak)])
async def test_a_journal_keeps_nothing_in_memory_of_runs_that_ended(path: Path, runs: int) -> None:
    text = "word " * 400
    with closing(SqliteJournal(path)) as journal:

        async def run(number: int) -> None:
            name, service = f"r{number}", Service()
            journal.begin(RunRecord(name, "g", inputs={"question": text}))
            for nth in range(3):
                await service.answer(called(f"{number} {nth} {text}", run=name), journal)
                journal.note(name, "flow.0:a", "step", {"text": text})
            journal.end(name, "finished")

        await run(-1)
        gc.collect()
        tracemalloc.start()
        try:
            for first in range(0, runs, 50):
                await asyncio.gather(*map(run, range(first, first + 50)))
            gc.collect()
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 400_000
    assert peak < 50 * 3 * 4 * len(text) + 2_000_000
