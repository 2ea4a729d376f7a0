"""Journals that were damaged in the middle: pages overwritten, the file or its log cut short."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.check import check
from agentrag.journal.history import History
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called, chat, step_end

PAGE = 4096
RUNS, CALLS = 8, 6
LONG = "long " * 500
Harm = Callable[[bytearray, random.Random], None]
SOAK = pytest.param(1000, marks=pytest.mark.soak)


async def record(path: Path) -> None:
    """Runs with records of every kind, of which some are longer than a page."""
    with closing(SqliteJournal(path)) as journal:
        for run in map(str, range(RUNS)):
            journal.begin(RunRecord(run, "g", inputs={"question": run}, sources={"graph": f"{run} {LONG}"}))
            for number in range(CALLS):
                await chat(journal, f"{run} {number} {LONG}", run=run, step=f"flow.{number}:a")
                journal.note(run, f"flow.{number}:a", "step", step_end("a"))
            journal.settle(run, "flow.9:ask", "yes")
            journal.end(run, "finished", b'{"answer": "x"}')


def read(path: Path, run: str) -> dict[str, Any]:
    """All that is told of a run."""
    with History(path) as history:
        past, calls = history.run(run), history.calls(run)
        exchanges = [history.exchange(call) for call in calls]
        return {
            "run": past,
            "calls": calls,
            "exchanges": exchanges,
            "notes": history.notes(run),
            "settled": history.settled(run),
        }


def overwrite(data: bytearray, chance: random.Random) -> None:
    """Fill a page with zeros, ones or noise."""
    at = chance.randrange(1, len(data) // PAGE) * PAGE
    data[at : at + PAGE] = chance.choice([bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)])


def smear(data: bytearray, chance: random.Random) -> None:
    """Overwrite a few bytes anywhere behind the head of the file."""
    at = chance.randrange(100, len(data) - 16)
    data[at : at + 16] = b"\xff" * 16


def cut(data: bytearray, chance: random.Random) -> None:
    """Cut the file short, more often by little than by much."""
    del data[len(data) - 1 - int((len(data) - PAGE) * chance.random() ** 3) :]


@pytest.mark.parametrize("harm", [overwrite, smear, cut])
@pytest.mark.parametrize("times", [12, SOAK])
async def test_a_damaged_file_gives_what_was_recorded_or_a_clear_error(tmp_path: Path, harm: Harm, times: int) -> None:
    original, path = tmp_path / "original.sqlite", tmp_path / "journal.sqlite"
    await record(original)
    data, truth = original.read_bytes(), {run: read(original, run) for run in map(str, range(RUNS))}
    told = Counter[str]()
    for seed in range(times):
        damaged = bytearray(data)
        harm(damaged, random.Random(seed))
        path.write_bytes(damaged)
        for file in tmp_path.glob("journal.sqlite-*"):
            file.unlink()
        readable = {run for run in truth if is_read(path, run, truth[run], told)}
        whole = rescued(path, truth, tmp_path / "rescued.sqlite")
        assert harm is cut or set(whole) <= readable  # SQLite reads nothing of a file that is shorter than its head says
        told["whole"] += len(whole)
        await gone_on_with(path, told)
    # SQLite keeps no checksums of what is in a record, and does not miss those that were on a page that was cut off
    assert not told["changed"] or harm is not overwrite
    assert told["whole"] > (0 if harm is cut else 4 * times)  # of eight runs each time
    print(harm.__name__, dict(told))


def is_read(path: Path, run: str, truth: dict[str, Any], told: Counter[str]) -> bool:
    """Whether a run is read whole: then it is what was recorded."""
    try:
        now = read(path, run)
    except StoreError as error:
        told["refused"] += 1
        clear(path, error)
        return False
    differs = [kind for kind in truth if now[kind] != truth[kind]]
    told["changed"] += bool(differs)
    return True


def clear(path: Path, error: StoreError) -> None:
    """Whether an error says what is wrong, and what to do about a damaged file."""
    text = str(error)
    assert text.startswith((f"Journal {path} cannot be ", "Unknown run"))
    assert "malformed" not in text or text.endswith("take them out, with: agentrag runs check")


def rescued(path: Path, truth: dict[str, dict[str, Any]], target: Path) -> tuple[str, ...]:
    """Ids of the runs that are taken out: the new journal is whole, and they are in it as they were recorded."""
    target.unlink(missing_ok=True)
    found = check(path, target)
    assert not any("/tmp" in why and str(path) not in why for why in found.damaged.values())
    if found.whole:
        assert check(target).is_whole
        assert [past.record.run for past in reversed(listed(target))] == list(found.whole)
        assert all(exchanged(target, run) == truth[run]["exchanges"] for run in found.whole)
    return found.whole


def exchanged(path: Path, run: str) -> list[Any]:
    with History(path) as history:
        return [history.exchange(call) for call in history.calls(run)]


def listed(path: Path) -> list[Any]:
    with History(path) as history:
        return history.runs()


async def gone_on_with(path: Path, told: Counter[str]) -> None:
    """A run that works on the damaged file is recorded, or stops with a clear error."""
    service = Service()
    try:
        with closing(SqliteJournal(path, patience=1.0)) as journal:
            journal.begin(RunRecord("new", "g"))
            for number in range(3):
                await service.answer(called(f"{number} {LONG}", run="new"), journal)
            journal.end("new", "finished")
    except StoreError as error:
        told["stopped"] += 1
        clear(path, error)
    else:
        told["went on"] += 1


@pytest.mark.parametrize("harm", ["cut", "overwrite"])
@pytest.mark.parametrize("times", [12, SOAK])
async def test_of_a_damaged_log_what_came_before_the_damage_is_kept(tmp_path: Path, harm: str, times: int) -> None:
    """Every commit in the log has its checksum: the first that does not hold ends it."""
    service = Service()
    with closing(SqliteJournal(tmp_path / "live.sqlite")) as journal:
        journal.begin(RunRecord("r", "g"))
        for number in range(20):
            await service.answer(called(f"{number} {LONG}", step=f"flow.{number}:a"), journal)
        for part in ("", "-wal"):
            shutil.copy(tmp_path / f"live.sqlite{part}", tmp_path / f"kept.sqlite{part}")
    log = (tmp_path / "kept.sqlite-wal").read_bytes()
    lost = Counter[int]()
    for seed in range(times):
        path, chance = tmp_path / "journal.sqlite", random.Random(seed)
        for file in tmp_path.glob("journal.sqlite*"):
            file.unlink()
        shutil.copy(tmp_path / "kept.sqlite", path)
        at = chance.randrange(32, len(log) - 8)
        damaged = log[:at] if harm == "cut" else log[:at] + bytes(byte ^ 0xFF for byte in log[at : at + 8]) + log[at + 8 :]
        path.with_name("journal.sqlite-wal").write_bytes(damaged)
        again = Service()
        with closing(SqliteJournal(path)) as journal:
            journal.begin(RunRecord("r", "g"))
            for number in range(20):
                await again.answer(called(f"{number} {LONG}", step=f"flow.{number}:a"), journal)
            journal.end("r", "finished")
        assert again.asked == service.asked[20 - len(again.asked) :]
        assert check(path).is_whole
        lost[len(again.asked)] += 1
    assert len(lost) > 5


async def test_damage_in_the_first_page_is_told_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await record(path)
    data = bytearray(path.read_bytes())
    data[:PAGE] = bytes(PAGE)
    path.write_bytes(data)
    for open_it in (SqliteJournal, History, check, lambda path: ReplayJournal(path, "0")):
        with pytest.raises(StoreError, match=r"Journal .*journal\.sqlite cannot be used: file is not a database"):
            open_it(path)


async def test_damage_in_the_names_of_columns_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await record(path)
    path.write_bytes(path.read_bytes().replace(b"owner TEXT", b"\xff" * 5 + b" TEXT"))
    found = check(path)
    assert (found.is_whole, found.whole) == (False, ())
    assert "Could not decode to UTF-8" in found.faults[0]


async def test_a_whole_journal_is_found_whole_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await record(path)
    before = path.read_bytes()
    found = check(path)
    assert (found.is_whole, found.faults, found.whole, found.damaged) == (True, (), tuple(map(str, range(RUNS))), {})
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="is not there"):
        check(tmp_path / "none.sqlite")


async def test_an_unfinished_fork_of_a_damaged_run_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    await record(path)
    with closing(SqliteJournal(path)) as journal:
        for run in ("ended", "open"):
            journal.begin(RunRecord(run, "g", parent="3"))
        journal.end("ended", "finished")
    data = path.read_bytes()
    at = data.index(b'{"answer": "x"}', data.index(b'{"question":"3"}'))
    path.write_bytes(data[:at] + b"!" + data[at + 1 :])
    found = check(path)
    assert "3" not in found.whole
    assert "open" not in found.whole
    assert "ended" in found.whole
    assert found.damaged["open"] == "Run open did not finish, and run 3 that it was forked from is damaged."
