"""Runs taken out of a journal: as a cassette that replays them, and as lines of JSON without credentials."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from agentrag.core.errors import InDoubtError, StoreError
from agentrag.core.ports import RunRecord
from agentrag.journal.export import export_cassette, export_lines
from agentrag.journal.history import History
from agentrag.journal.replay import ReplayJournal
from agentrag.journal.sqlite import SqliteJournal
from tests.journal.conftest import Service, called, chat, record_run, step_end

SAMPLES = [called(run="fork", nth=nth, sampled=True) for nth in range(10)]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "cassette.sqlite"


async def record_fork(path: Path) -> list[str]:
    """Three runs: one, one that forked from it and made seven more samples of ten, and another one; the fork's answers."""
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("parent", "g", sources={"graph": "x"}))
    for nth in range(3):
        await service.answer(called(run="parent", nth=nth, sampled=True), journal)
    journal.end("parent", "finished")
    journal.begin(RunRecord("fork", "g", inputs={"question": "Why?"}, sources={"graph": "x"}, parent="parent"))
    answers = [await service.answer(call, journal) for call in SAMPLES]
    journal.note("fork", "flow.0:write", "step", step_end("write"))
    journal.settle("fork", "flow.1:race", "left")
    journal.end("fork", "finished", b'{"answer": "x"}')
    journal.close()
    await record_run(path, "another", ["a secret of another run"])
    return answers


async def test_a_cassette_replays_what_its_runs_said(path: Path, target: Path) -> None:
    answers = await record_fork(path)
    export_cassette(path, ["fork"], target)
    path.unlink()
    replay = ReplayJournal(target, "fork")
    assert [await Service().answer(call, replay) for call in SAMPLES] == answers
    assert len(set(answers)) == 10
    assert replay.settled("fork", "flow.1:race") == "left"
    replay.close()


async def test_a_cassette_holds_nothing_else(path: Path, target: Path) -> None:
    await record_fork(path)
    with History(path) as history:
        run, steps = history.run("fork"), history.steps("fork")
    export_cassette(path, ["fork"], target)
    with History(target) as history:
        assert [run.record.run for run in history.runs()] == ["fork"]
        assert history.run("fork") == run
        assert [step.outcome for step in history.steps("fork")] == [step.outcome for step in steps]
    assert b"another" not in target.read_bytes()
    assert [file.name for file in target.parent.iterdir()] == ["cassette.sqlite"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_equal_runs_make_equal_bytes(path: Path, target: Path) -> None:
    await record_fork(path)
    twin = target.with_name("twin.sqlite")
    for one in (target, twin):
        export_cassette(path, ["fork", "another", "fork"], one)
    assert target.read_bytes() == twin.read_bytes()
    again = target.with_name("again.sqlite")
    export_cassette(target, ["fork", "another"], again)
    assert again.read_bytes() == target.read_bytes()


async def test_a_cassette_can_be_resumed_and_reused(path: Path, target: Path) -> None:
    await record_fork(path)
    export_cassette(path, ["another"], target)
    journal = SqliteJournal(target, reuse=True)
    answer = await Service().answer(called("a secret of another run", run="new"), journal)
    assert answer == "1 a secret of another run"
    journal.close()


async def test_nothing_is_overwritten_and_nothing_half_is_left(path: Path, target: Path) -> None:
    await record_fork(path)
    with pytest.raises(StoreError, match=r"Unknown run 'frok'\. Did you mean 'fork'"):
        export_cassette(path, ["another", "frok"], target)
    assert not target.exists()
    target.parent.mkdir()
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError, match=r"Journal .*cassette\.sqlite is there already"):
        export_cassette(path, ["fork"], target)
    assert target.read_text(encoding="utf-8") == "mine"


async def test_lines_tell_runs_steps_and_calls_without_credentials(path: Path) -> None:
    key = "sk-" + "proj-1234567890abcdef"
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g", inputs={"question": f"What is {key}?"}))
    await chat(journal, f"What is {key}?", run="r", step="flow.0:write", answer="Authorization: Bearer abcdef123456")
    journal.note("r", "flow.0:write", "step", step_end("write"))
    journal.end("r", "failed", error="api_key=12345678 is refused")
    journal.close()
    lines = list(export_lines(path, ["r"]))
    run, step, call = map(json.loads, lines)
    assert (run["type"], run["inputs"]["question"], run["status"]) == ("run", "What is [redacted]?", "failed")
    assert (run["error"], run["usage"]["calls"]) == ("api_key=[redacted] is refused", 1)
    assert (step["type"], step["node"], step["outcome"]) == ("step", "write", "done")
    assert (call["type"], call["kind"], call["model"], call["usage"]["prompt_tokens"]) == ("call", "chat", "scripted-1", 10)
    assert call["request"]["messages"][0]["content"] == "What is [redacted]?"
    assert call["answer"]["text"] == "Authorization: [redacted]"
    assert key not in "".join(lines)
    assert key.encode() in path.read_bytes()


def test_lines_of_an_unknown_run_are_an_error_before_the_first_line(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("r", "g"))
    with pytest.raises(StoreError, match="Unknown run 'x'"):
        next(export_lines(path, ["r", "x"]))
    journal.close()


async def record_unfinished_forks(path: Path) -> None:
    """A run with a write and one in doubt, a fork of it that failed, and a fork of that which waits for a person."""
    journal, service = SqliteJournal(path), Service(failing=1)
    journal.begin(RunRecord("first", "g"))
    with pytest.raises(ConnectionError):
        await service.answer(called("doubtful", run="first", step="flow.2:send", effect="write"), journal)
    for step in ("flow.0:a", "flow.1:b"):
        await service.answer(called(run="first", step=step, sampled=True), journal)
    await service.answer(called("sent", run="first", step="flow.3:send", effect="write"), journal)
    journal.end("first", "finished")
    for run, parent, status in (("second", "first", "failed"), ("third", "second", "paused")):
        journal.begin(RunRecord(run, "g", parent=parent))
        await service.answer(called(run=run, step="flow.0:a", sampled=True), journal)
        journal.end(run, "failed" if status == "failed" else "paused")
    journal.close()
    await record_run(path, "another", ["x"])


async def test_an_unfinished_fork_is_gone_on_with_in_its_copy(path: Path, target: Path) -> None:
    await record_unfinished_forks(path)
    assert export_cassette(path, ["second"], target) == ("first", "second")
    journal, service = SqliteJournal(target), Service()
    journal.begin(RunRecord("second", "g"))
    for step in ("flow.0:a", "flow.1:b"):
        assert (await service.recorded(called(run="second", step=step, sampled=True), journal)).reused
    assert (await service.recorded(called("sent", run="second", step="flow.3:send", effect="write"), journal)).reused
    with pytest.raises(InDoubtError):
        await service.answer(called("doubtful", run="second", step="flow.2:send", effect="write"), journal)
    assert service.asked == []
    journal.close()


@pytest.mark.parametrize(
    ("runs", "taken"),
    [
        (["third"], ("first", "second", "third")),
        (["third", "another", "second"], ("first", "second", "third", "another")),
        (["another", "first"], ("another", "first")),
    ],
    ids=["parents of parents", "each once", "no fork"],
)
async def test_what_an_unfinished_fork_needs_is_taken_along(
    path: Path, target: Path, runs: list[str], taken: tuple[str, ...]
) -> None:
    await record_unfinished_forks(path)
    assert export_cassette(path, runs, target) == taken
    with History(target) as history:
        assert tuple(past.record.run for past in reversed(history.runs())) == taken


async def test_a_run_that_is_worked_on_can_be_exported_and_its_copy_be_begun(path: Path, target: Path) -> None:
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord("r", "g"))
    await service.answer(called(), journal)
    export_cassette(path, ["r"], target)
    copy = SqliteJournal(target)
    copy.begin(RunRecord("r", "g"))
    assert (await service.recorded(called(), copy)).reused
    copy.close()
    journal.close()
