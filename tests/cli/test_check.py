from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

BROKEN = """\
agentrag: 1
name: broken
inputs: {question: str}
outputs: [answer]
models: {writer: default}
nodes:
  search: {use: retreive}
  write: {use: generate, prompt: answer/grounded, max_tokens: none}
flow: [search, write]
"""


def test_check_reports_all_errors_of_all_files_with_their_places(command: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")
    done = command("check", "broken.yaml", "ask")
    assert done.code == 1
    assert done.out == "ask: ok\n"
    places = [line.split(" ")[0] for line in done.err.splitlines()]
    assert {"broken.yaml:7:17", "broken.yaml:8:63"} <= set(places)
    assert "Did you mean 'retrieve'?" in done.err


def test_check_knows_prompts_and_settings_by_their_names(command: Command, tmp_path: Path) -> None:
    (tmp_path / "agentrag.yaml").write_text("chunk: {tokens: 100}\n", encoding="utf-8")
    (tmp_path / "mine.md").write_text(
        "---\nabout: a\nsource: own\nversion: 1\ninputs: {}\n---\n## user\n{hole}\n", encoding="utf-8"
    )
    done = command("check", "agentrag.yaml", "mine.md")
    assert (done.code, done.out) == (1, "agentrag.yaml: ok\n")
    assert done.err == "mine.md:1:1 hole '{hole}' is not in the header's inputs\n"


@pytest.mark.parametrize("name", ["nothing.yaml", "nothing.md", "nothing/agentrag.yaml"])
def test_check_of_a_missing_file_says_so(command: Command, name: str) -> None:
    done = command("check", name)
    assert (done.code, done.out) == (1, "")
    assert "nothing" in done.err
    assert "Traceback" not in done.err


def test_draw_prints_a_mermaid_flowchart(command: Command) -> None:
    done = command("draw", "ask")
    assert done.code == 0
    assert done.out.startswith("flowchart ")
    assert "condense" in done.out


def test_draw_of_an_unknown_graph_names_the_known_ones(command: Command) -> None:
    done = command("draw", "asq")
    assert done.code == 1
    assert done.err.startswith("error: Unknown graph 'asq'. Did you mean 'ask'?")
