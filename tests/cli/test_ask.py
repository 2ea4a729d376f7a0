"""The command itself, as a process, with a stub of a model server; what it prints is tested in test_answers.py."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from agentrag.testing.server import Reply, Script, StubChatServer
from tests.cli.conftest import Command, Finished, environment

ECHO = """\
agentrag: 1
name: echo
inputs:
  question: str
  history: {type: history, default: []}
  style: {type: str, default: full, values: [full, short]}
outputs: [answer]
models: {writer: default}
nodes: {write: {use: generate, prompt: chat/condense, model: writer}}
flow: [write]
"""
"""A graph without a collection: what the model says is the answer."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "echo.yaml").write_text(ECHO, encoding="utf-8")
    return tmp_path


def bind(folder: Path, url: str) -> None:
    """Write settings in which `default` and `other` are the server at `url`."""
    binding = f"{{provider: openai-compatible, url: '{url}', model: stub, timeout: 5, api_key_env: STUB_KEY}}"
    (folder / "agentrag.yaml").write_text(f"models:\n  default: {binding}\n  other: {binding}\n", encoding="utf-8")


async def ask(command: Command, folder: Path, replies: list[Script], *arguments: str, stdin: str = "") -> Finished:
    async with StubChatServer(replies) as server:
        bind(folder, server.url)
        return await asyncio.to_thread(command, *arguments, stdin=stdin, STUB_KEY="sk-secret")


async def test_ask_prints_only_the_answer_where_its_output_is_piped(command: Command, folder: Path) -> None:
    done = await ask(command, folder, ["The lamp\x1b[2J is red."], "ask", "What?", "--graph", "echo.yaml")
    assert (done.code, done.out, done.err) == (0, "The lamp is red.\n", "")


async def test_an_empty_binding_is_refused_and_not_taken_for_none(command: Command, folder: Path) -> None:
    done = await ask(command, folder, [], "ask", "What?", "--graph", "echo.yaml", "-m", "")
    assert done.code == 1
    assert "Unknown binding ''" in done.err


async def test_ask_as_json_is_one_document(command: Command, folder: Path) -> None:
    done = await ask(command, folder, ["It is red."], "ask", "What?", "--graph", "echo.yaml", "--json")
    found = json.loads(done.out)
    assert found["answer"] == "It is red."
    assert found["usage"]["write"]["completion_tokens"] == 3
    assert done.err == ""


async def test_run_prints_outputs_and_takes_bindings_for_slots(command: Command, folder: Path) -> None:
    arguments = ["run", "echo.yaml", "-i", "question=What?", "-m", "nothing", "--models", "writer=other", "--json"]
    done = await ask(command, folder, ["It is red."], *arguments)
    assert json.loads(done.out)["outputs"] == {"answer": "It is red."}


async def test_chat_answers_one_question_a_line_where_it_is_piped(command: Command, folder: Path) -> None:
    done = await ask(command, folder, ["One.", "Two."], "chat", "--graph", "echo.yaml", stdin="First?\nSecond?\n")
    assert (done.code, done.out) == (0, "One.\n\nTwo.\n\n")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=401, error="bad key"), "401"),
        (Reply(status=400, error="no such model"), "no such model"),
        (Reply(fault="garbage"), "JSON"),
        (Reply(fault="half stream"), ""),
    ],
    ids=["401", "400", "malformed JSON", "half a stream"],
)
async def test_a_failing_server_is_one_line_without_the_key_and_how_to_go_on(
    command: Command, folder: Path, reply: Reply, said: str
) -> None:
    done = await ask(command, folder, [reply], "ask", "What?", "--graph", "echo.yaml", "--json")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: Node 'write'")
    assert said in done.err
    assert done.err.splitlines()[1].startswith("What run ")
    assert done.err.count("\n") == 2
    assert "sk-secret" not in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "What?", "--graph", "echo.yaml"], "agentrag models pull qwen2.5-coder-1.5b-instruct"),
        (["ask", "What?", "--graph", "echo.yaml", "-m", "defualt"], "Did you mean 'default'?"),
        (["ask", "What?", "--graph", "echo.yaml", "-i", "styl=short"], "Did you mean 'style'?"),
        (["ask", "What?", "--graph", "echo.yaml", "-i", "style=long"], "is not one of full, short"),
        (["ask", "What?", "--graph", "ech.yaml"], "Unknown graph 'ech.yaml'"),
        (["run", "echo.yaml"], "Input 'question' (str) is missing"),
        (["ask", "What?", "--graph", "echo.yaml", "--models", "wirter=default"], "Did you mean 'writer'?"),
        (["ask", "What?", "--graph", "echo.yaml", "--collection", "news=docs"], "Unknown collection slot 'news'"),
    ],
    ids=["model not pulled", "binding", "input", "value", "graph", "missing input", "model slot", "collection slot"],
)
def test_what_is_not_there_is_one_line_that_says_what_to_do(
    command: Command, folder: Path, arguments: list[str], said: str
) -> None:
    done = command(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert said in done.err
    assert done.err.count("\n") == 1


async def test_a_list_input_that_is_not_json_is_wrong_usage(command: Command, folder: Path) -> None:
    done = command("run", "echo.yaml", "-i", "question=What?", "-i", "history=hello")
    assert done.code == 2
    assert "input 'history' is a history, written as JSON" in done.err


async def test_a_terminal_sees_the_answer_while_it_is_written_and_the_checked_one_at_the_end(folder: Path) -> None:
    screen, terminal = os.openpty()
    async with StubChatServer(["The lamp of the lighthouse is red today."], pace=0.2) as server:
        bind(folder, server.url)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agentrag", "ask", "What?", "--graph", "echo.yaml"),
            cwd=folder,
            env=environment(folder) | {"STUB_KEY": "sk-secret", "TERM": "xterm", "COLUMNS": "80"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        seen, drafts = "", []
        while piece := await asyncio.to_thread(_read, screen):
            seen += piece
            drafts.append(server.in_flight and "The lamp" in seen)
        await child.wait()
    os.close(screen)
    assert child.returncode == 0
    assert any(drafts)
    assert "starting ..." in seen
    assert "The lamp of the lighthouse is red today.\r\n" in seen


def _read(screen: int) -> str:
    """What the terminal shows next; "" when its program has ended."""
    try:
        return os.read(screen, 65536).decode(errors="replace")
    except OSError:
        return ""


async def test_ctrl_c_during_an_answer_ends_at_once_with_130(folder: Path) -> None:
    async with StubChatServer(["word " * 500], pace=0.05) as server:
        bind(folder, server.url)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agentrag", "ask", "What?", "--graph", "echo.yaml"),
            cwd=folder,
            env=environment(folder) | {"STUB_KEY": "sk-secret"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        while not server.in_flight:
            await asyncio.sleep(0.05)
        os.kill(child.pid, signal.SIGINT)
        out, err = await asyncio.wait_for(child.communicate(), 10)
        assert (child.returncode, out) == (130, b"")
        told = r"What run (\S+) did is recorded\. Go on with it: agentrag runs resume \1\nerror: interrupted\n"
        assert re.fullmatch(told, err.decode())
        while server.in_flight:  # the server is told, too
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("  ",), "the question is empty"), (("Why?", "-i", "question=How?"), "would be a second one")],
    ids=["empty", "given twice"],
)
def test_a_question_is_given_once_and_says_something(
    command: Command, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    finished = command("ask", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert said in finished.err
