"""Several real processes on one journal, and processes killed between and inside calls."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrag.core.errors import InDoubtError
from agentrag.core.ports import RunRecord
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts the worker; whatever still runs at the end is killed."""
    started: list[Process] = []

    def run(*arguments: object) -> Process:
        command = [sys.executable, str(WORKER), str(path), *map(str, arguments)]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def killed(process: Process, after: str) -> list[str]:
    """Kill a worker when it has printed a line; what it had printed until then, and may have printed since."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1] != after:
        lines.append(process.stdout.readline().strip())
        assert lines[-1], f"the worker ended before '{after}'"
    process.kill()
    return [*lines, *process.communicate()[0].split("\n")]


@pytest.mark.parametrize("after", ["made 3 of r", "sent 4"], ids=["between calls", "inside a call"])
def test_what_was_finished_before_a_kill_is_kept(start: Start, after: str) -> None:
    assert "made 3 of r" in killed(start("r", 8, 0.05), after)
    again = start("r", 8, 0).communicate()[0].split()
    assert again[:9] == ["kept", "0", "of", "r", "kept", "1", "of", "r", "kept"]
    text = " ".join(again)
    assert [word for word in text.split() if word.isdigit()][:4] == ["0", "1", "2", "3"]
    assert "sent 3" not in text
    assert "made 7 of r" in text


def test_killed_at_any_moment_no_finished_call_is_made_again(start: Start, path: Path) -> None:
    chance, sent, finished = random.Random(7), list[str](), set[str]()
    for _ in range(6):
        process = start("r", 40, 0.004)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.12))
        process.kill()
        lines = [first.strip(), *process.communicate()[0].splitlines()]
        now = [line for line in lines if line.startswith("sent")]
        assert finished.isdisjoint(now)
        sent += now
        finished |= {f"sent {line.split()[1]}" for line in lines if line.startswith("made")}
    start("r", 40, 0).communicate()
    with History(path) as history:
        assert [call.ordinal for call in history.calls("r")] == list(range(40))
        assert history.run("r").status == "finished"
    assert len(finished) > 3


async def test_a_write_that_was_under_way_at_a_kill_is_in_doubt(start: Start, path: Path) -> None:
    killed(start("r", 3, 30, "write"), "sent 0")
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(InDoubtError):
        await Service().answer(called(effect="write"), journal)
    journal.close()


def test_several_processes_may_write_one_file(start: Start, path: Path) -> None:
    processes = [start(f"run-{number}", 60, 0) for number in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with History(path) as history:
        runs = history.runs()
        assert sorted((run.record.run, run.status, run.usage.calls) for run in runs) == [
            (f"run-{number}", "finished", 60) for number in range(3)
        ]
        for number in range(3):
            calls = history.calls(f"run-{number}")
            assert [history.exchange(call)[1] for call in calls] == [f"{nth} of run-{number}" for nth in range(60)]
            assert len(history.notes(f"run-{number}")) == 60
