"""The command line logs and traces as its settings say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.telemetry.receiver import Receiver

GRAPH = """\
agentrag: 1
name: plain
inputs: {question: str}
outputs: [text]
nodes:
  say: {use: compose, text: "{question}!"}
flow: [say]
"""


def agentrag(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    (folder / "plain.yaml").write_text(GRAPH, encoding="utf-8")
    own = {f"AGENTRAG_{name}": value for name, value in settings.items()}
    environment = {**os.environ, "AGENTRAG_HOME": str(folder), "AGENTRAG_CACHE": str(folder), **own}
    command = [sys.executable, "-m", "agentrag", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)


def test_a_run_is_logged_as_json_and_exported_before_the_command_ends(tmp_path: Path, receiver: Receiver) -> None:
    settings = {"LOG__FORMAT": "json", "LOG__LEVEL": "info", "TELEMETRY__OTLP": receiver.url}
    done = agentrag(tmp_path, "run", "plain.yaml", "-i", "question=cat", **settings)
    assert done.stdout == "text: cat!\n"
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [line["event"] for line in logged] == ["run_started", "run_finished"]
    assert receiver.tree() == [(0, "invoke_agent plain"), (1, "node say")]
    assert receiver.named("invoke_agent plain").attributes["agentrag.run"] == logged[0]["run"]


def test_a_command_ends_well_though_its_endpoint_is_down(tmp_path: Path) -> None:
    done = agentrag(tmp_path, "run", "plain.yaml", "-i", "question=cat", TELEMETRY__OTLP="http://127.0.0.1:9")
    assert (done.stdout, "Traceback" in done.stderr) == ("text: cat!\n", False)
    assert max(map(done.stderr.count, ("Transient error", "Failed to export"))) == 1  # each kind of fault once
