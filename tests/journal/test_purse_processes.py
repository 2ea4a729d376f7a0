"""Budgets of tenants over several processes at once: exact, and cautious where one of them dies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.tenant import TenantBudget
from agentrag.journal.purse import TenantPurse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budgets.sqlite"


def hammered(path: Path, calls: int, passages: int, times: int, after: str, processes: int = 8) -> list[tuple[int, int]]:
    """What each of several processes at once was let make and found."""
    command = [sys.executable, "-m", "tests.journal.purse_worker", str(path), str(calls), str(passages), str(times), after]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    told = [process.communicate()[0].split() for process in running]
    return [(int(line[0]), int(line[1])) for line in told if line]


HEAVY = pytest.param(2_000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])


@pytest.mark.parametrize("times", [40, HEAVY], ids=["some", "many"])
@pytest.mark.parametrize("after", ["settle", "keep"])
def test_eight_processes_never_make_a_call_or_find_a_passage_too_many(path: Path, times: int, after: str) -> None:
    calls, passages = 4 * times, 6 * times
    told = hammered(path, calls, passages, times, after)
    assert len(told) == 8
    made, found = (sum(column) for column in zip(*told, strict=True))
    assert made <= calls
    assert found <= passages
    budget = TenantBudget(calls=calls, passages=passages, per="day")
    with closing(TenantPurse(path, "acme", budget, clock=lambda: 1_800_000_000.0)) as purse:
        spent = purse.standing().spent
    assert spent.calls == made
    assert spent.passages == (found if after == "settle" else 3 * made)
    # more was asked for than there was: it came to within one reservation of a limit
    assert calls == made or passages - spent.passages < 3 + 3 * 8


def test_a_process_that_dies_between_setting_aside_and_settling_leaves_its_amount_spent(path: Path) -> None:
    assert hammered(path, 20, 100, 5, "die", processes=4) == []
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT calls, passages FROM spent").fetchall() == [(4.0, 12.0)]
