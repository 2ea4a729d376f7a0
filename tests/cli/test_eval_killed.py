"""An evaluation that is killed at any moment goes on: no question is lost, and none that was answered is paid again."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from agentrag.testing.server import Reply, Script, StubChatServer
from tests.cli.conftest import environment
from tests.evaluation.conftest import ECHO, write_lines

QUESTIONS, CONCURRENCY = 24, 3


def write_data(folder: Path) -> None:
    folder.mkdir()
    write_lines(folder / "corpus.jsonl", [{"id": "d", "title": "", "text": "nothing"}])
    write_lines(
        folder / "queries.jsonl", [{"id": f"q{n}", "text": f"what is {n}?", "answers": [str(n)]} for n in range(QUESTIONS)]
    )


async def evaluating(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """`agentrag eval` in a process of its own."""
    command = [sys.executable, "-m", "agentrag", "eval", *arguments]
    out, err = subprocess.PIPE, subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment(folder), stdout=out, stderr=err)


async def test_no_question_is_lost_and_no_answer_is_paid_twice(tmp_path: Path) -> None:
    write_data(tmp_path / "many")
    (tmp_path / "echo.yaml").write_text(ECHO, encoding="utf-8")

    def answer(body: dict[str, Any]) -> Script:
        return Reply("It is " + "".join(filter(str.isdigit, body["messages"][-1]["content"])) + ".")

    async with StubChatServer(answer, latency=0.05) as server:
        binding = f"{{provider: openai-compatible, url: '{server.url}', model: stub, timeout: 5}}"
        (tmp_path / "agentrag.yaml").write_text(f"models: {{default: {binding}}}\n", encoding="utf-8")
        arguments = ["echo.yaml", "--data", "many", "-o", "run", "--concurrency", str(CONCURRENCY)]
        kills = 0
        for after in (5, 12, 17):
            process = await evaluating(tmp_path, *arguments)
            while len(server.bodies) < after and process.returncode is None:
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            await process.communicate()
            kills += 1
            arguments = ["--resume", "run"]
        process = await evaluating(tmp_path, "--resume", "run", "--json")
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(out)
    assert (found["n"], found["failed"], found["metrics"]["contains"]["mean"]) == (QUESTIONS, {}, 1.0)
    lines = [json.loads(line)["id"] for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    assert sorted(lines) == sorted(f"q{n}" for n in range(QUESTIONS))
    assert len(server.bodies) <= QUESTIONS + kills * CONCURRENCY  # only what was in flight is asked again
