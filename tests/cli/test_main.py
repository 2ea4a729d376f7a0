from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_help_lists_every_command(command: Command) -> None:
    done = command("--help")
    assert done.code == 0
    commands = {line.split()[0] for line in done.out.partition("Commands:")[2].splitlines() if line.strip()}
    assert commands >= {
        "ask",
        "chat",
        "check",
        "collections",
        "demo",
        "doctor",
        "draw",
        "eval",
        "ingest",
        "init",
        "models",
        "run",
    }


def test_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").out == f"agentrag {version('agentrag')}\n"


@pytest.mark.parametrize(
    "arguments",
    [["ask"], ["nonsense"], ["ask", "q", "--nonsense"], ["ask", "q", "-i", "style"], ["ask", "q", "-c", "docs="]],
    ids=["no question", "no such command", "no such option", "input without value", "slot without name"],
)
def test_wrong_usage_ends_with_code_2_and_says_why(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "rror: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("embeder: x\n", "agentrag.yaml:1:1 embeder: Unknown key 'embeder'. Did you mean 'embedder'?"),
        ("chunk: {tokens: lots}\n", "agentrag.yaml:1:17 chunk.tokens: 'lots'"),
        ("models: [\n", "agentrag.yaml:2:1 is not YAML"),
        ("models:\n  a: {provider: openai-compatible, url: x, model: m}\n", "agentrag.yaml:2:"),
    ],
    ids=["unknown key", "wrong type", "not YAML", "url without scheme"],
)
def test_a_wrong_settings_file_is_one_line_with_its_place(command: Command, tmp_path: Path, yaml: str, said: str) -> None:
    (tmp_path / "agentrag.yaml").write_text(yaml, encoding="utf-8")
    done = command("ask", "Why?")
    assert done.code == 1
    assert done.err.startswith(f"error: {said}")
    assert done.err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = command("init", "file/project")
    assert done.code == 1
    assert done.err.startswith("error: Not a directory: ")
    assert done.err.count("\n") == 1
