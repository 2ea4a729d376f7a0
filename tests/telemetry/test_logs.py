"""Runs as log records, and how the command line writes them."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, RunError, SettingsError
from agentrag.core.ports import RunRecord
from agentrag.core.redact import Redactor
from agentrag.core.settings import Settings
from agentrag.core.types import Completion, Usage
from agentrag.graph.interpreter import execute
from agentrag.telemetry.logs import configure_logs
from agentrag.telemetry.records import Records
from agentrag.telemetry.watch import Run
from agentrag.telemetry.watched import watched
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import program

LOOP = "  - repeat: {do: [ask], at_most: 2}\n"
PRICED = Completion("yes", usage=Usage(1, 30, 5, usd=0.25))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("agentrag")
    before = list(root.handlers), root.level, own.level
    yield
    for handler in [handler for handler in root.handlers if handler not in before[0]]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(before[1])
    own.setLevel(before[2])


def configured(**settings: Any) -> Settings:
    made = Settings.model_validate(settings)
    configure_logs(made)
    return made


async def ran(flow: str, deps: Deps, settings: Settings) -> None:
    with suppress(RunError):
        await execute(program(flow), {"question": "cat"}, watched(deps.but(tenant="acme"), settings))


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_a_run_is_json_lines_with_its_cost(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "runs.jsonl"
    settings = configured(log={"format": "json", "level": "debug", "file": str(file)})
    await ran(LOOP, fake_deps(ScriptedModel([PRICED, PRICED])), settings)
    lines = lines_of(file)
    assert [line["event"] for line in lines] == [
        "run_started",
        *["step_started", "call_finished", "step_finished", "round_finished"] * 2,
        "loop_finished",
        "run_finished",
    ]
    assert {(line["graph"], line["tenant"], line["logger"]) for line in lines} == {("case", "acme", "agentrag.runs")}
    call, end = lines[2], lines[-1]
    wanted = {"step": "flow.0.repeat#1.0:ask", "node": "ask", "kind": "chat", "target": "scripted", "tokens": 35, "usd": 0.25}
    assert {name: call[name] for name in wanted} == wanted
    assert (call["level"], end["level"], end["calls"], end["tokens"], end["usd"]) == ("DEBUG", "INFO", 2, 70, 0.5)
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("error", ["run_failed"]),
        ("warning", ["attempt_failed", "step_failed", "run_failed"]),
        ("info", ["run_started", "attempt_failed", "step_failed", "run_failed"]),
    ],
)
async def test_the_level_decides_what_is_logged(tmp_path: Path, level: str, events: list[str]) -> None:
    file = tmp_path / "runs.jsonl"
    settings = configured(log={"format": "json", "level": level, "file": str(file)})
    down = ModelError("down", retryable=True, retry_after=0.0)
    spec = program("  - ask\n").spec
    spec = spec.model_copy(update={"nodes": {"ask": spec.nodes["ask"].model_copy(update={"retry": 1})}})
    deps = watched(fake_deps(ScriptedModel([down, down])), settings)
    with pytest.raises(RunError):
        await execute(type(program("  - ask\n")).of(spec), {"question": "cat"}, deps)
    lines = lines_of(file)
    assert [line["event"] for line in lines] == events
    assert "down" in lines[-1]["reason"]


async def test_a_terminal_is_not_told_twice_what_the_command_ends_with(capsys: pytest.CaptureFixture[str]) -> None:
    settings = configured(log={"level": "info"})
    await ran("  - ask\n", fake_deps(ScriptedModel([ModelError("down")])), settings)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("info: run started run=")


def test_nothing_in_a_record_moves_the_cursor_or_begins_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    logging.getLogger("agentrag.x").warning("one\nerror: two\x1b[2J\u202e %s", "\r\x9b3")
    assert capsys.readouterr().err == "warning: one\\nerror: two\\x1b[2J\\u202e \\r\\x9b3\n"


@pytest.mark.parametrize("style", ["text", "json"])
def test_tracebacks_and_messages_are_redacted(capsys: pytest.CaptureFixture[str], style: str) -> None:
    binding = {"provider": "openai-compatible", "url": "http://x/v1", "model": "m", "api_key": "odd/key+of=mine"}
    settings = {"models": {"a": binding}, "redact": [r"patient (?P<number>\d+)"], "log": {"format": style}}
    configured(**settings)
    try:
        raise ValueError("patient 4711 with password: hunter22, odd%2Fkey%2Bof%3Dmine")
    except ValueError:
        logging.getLogger("agentrag.x").exception("of patient 4712 and odd/key+of=mine", extra={"who": "patient 4713"})
        logging.getLogger("other").exception("Authorization: Bearer %s", "abcdef123456")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert not [secret for secret in ("471", "hunter22", "odd", "abcdef") if secret in written]
    assert written.count("[redacted]") >= 5


def test_other_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log={"level": "debug"})
    other = logging.getLogger("chatty.library")
    other.setLevel(logging.DEBUG)
    other.debug("not this")
    other.warning("this")
    assert capsys.readouterr().err == "warning: this\n"


async def test_the_library_itself_configures_nothing() -> None:
    before = list(logging.getLogger().handlers), list(logging.getLogger("agentrag").handlers)
    await ran(LOOP, fake_deps(ScriptedModel([PRICED, PRICED])), Settings())
    assert (list(logging.getLogger().handlers), list(logging.getLogger("agentrag").handlers)) == before


def test_configuring_again_replaces_the_handler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(log={"file": str(tmp_path / "a.log")})
    configured()
    logging.getLogger("agentrag.x").warning("here")
    assert (capsys.readouterr().err, (tmp_path / "a.log").read_text(encoding="utf-8")) == ("warning: here\n", "")


def test_a_file_that_cannot_be_written_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"log\.file .* cannot be written: Is a directory"):
        configured(log={"file": str(tmp_path)})


@dataclass(frozen=True, slots=True)
class Overslept:
    """An event of a later version, with a field whose name a record has taken."""

    step: str
    name: str
    minutes: int
    more: list[str]


def test_an_event_that_is_new_is_logged_by_its_name_and_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agentrag")
    event: Any = Overslept("flow.0:ask", "api_key=12345678", 7, ["x"])
    Records(Redactor()).heard(Run(RunRecord("r", "case"), 0.0), event)
    (record,) = caplog.records
    told = record.__dict__
    assert (told["event"], told["run"], told["minutes"], told["event_name"]) == ("overslept", "r", 7, "api_key=[redacted]")
    assert record.getMessage() == "overslept run=r graph=case step=flow.0:ask name=api_key=[redacted] minutes=7"


async def test_what_a_person_is_asked_is_in_no_log(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    settings = configured(log={"format": "json", "level": "debug", "file": str(file)})
    asks = '  - tell\n  - ask_human: {question: "Send this about my illness? {answer}", out: decision}\n'
    await ran(asks, fake_deps(), settings)
    text = file.read_text(encoding="utf-8")
    assert "illness" not in text
    asked, paused = lines_of(file)[-2:]
    assert (asked["event"], asked["step"]) == ("asked", "flow.1.ask_human")
    assert (paused["event"], paused["reason"]) == ("run_paused", "waits for a person")
