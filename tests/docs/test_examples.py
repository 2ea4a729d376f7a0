"""The examples run, and the two forms of the same agent are the same."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from agentrag import Graph
from tests.docs.conftest import Machine
from tools.doc_regions import ROOT

EXAMPLES = ROOT / "examples"


def test_the_python_example_and_the_yaml_example_are_one_graph() -> None:
    in_python = runpy.run_path(str(EXAMPLES / "ask_documents.py"))["graph"]
    in_yaml = Graph.load(str(EXAMPLES / "ask_documents.yaml"))
    assert in_python.spec.model_dump() == in_yaml.spec.model_dump()
    own = {"name", "about", "source"}
    assert in_python.spec.model_dump(exclude=own) == Graph.load("ask").spec.model_dump(exclude=own)


def test_the_python_form_takes_about_as_many_lines_as_the_yaml() -> None:
    def lines(text: str) -> int:
        return sum(bool(line.strip()) for line in text.splitlines())

    python = (EXAMPLES / "ask_documents.py").read_text(encoding="utf-8")
    graph = python[python.index("graph = Graph(") : python.index("if __name__")]
    assert lines(graph) <= 1.3 * lines((EXAMPLES / "ask_documents.yaml").read_text(encoding="utf-8"))


@pytest.mark.model
@pytest.mark.parametrize(
    "command",
    [["python", str(EXAMPLES / "ask_documents.py")], ["agentrag", "ask", "--graph", str(EXAMPLES / "ask_documents.yaml")]],
    ids=["python", "yaml"],
)
def test_an_example_answers_with_a_citation(command: list[str], machine: Machine, tmp_path: Path) -> None:
    done = machine.run(tmp_path, *command, "How many beds does Lantern House have?")
    assert done.returncode == 0, done.stderr
    assert "Lantern House has six beds [1]." in done.stdout
    assert "station-handbook.pdf" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("threads", ["Answer 'How long is the boat Rissa?'?", "first: It has six beds.", "second: It is nine metres long."]),
        ("steps", ["select --> ", "answer: It has six. (1 model calls)", "after the edit: It has nine. (2 model calls)"]),
        ("mounted", ["Lantern House has six; The boat Rissa is", "{'search': 1, 'sum-up': 1}"]),
        ("inside", ["Dear Ada,\nIt has six beds."]),
    ],
)
def test_a_langgraph_example_runs(name: str, said: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "langgraph" / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [part for part in said if part not in done.stdout] == []
