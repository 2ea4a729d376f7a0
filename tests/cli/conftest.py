from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

KEYS = ("_API_KEY", "AGENTRAG_", "OLLAMA_")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]


def environment(home: Path) -> dict[str, str]:
    """The environment of a user who has nothing yet: no keys, no settings, empty folders."""
    plain = {name: value for name, value in os.environ.items() if not any(part in name for part in KEYS)}
    return plain | {"AGENTRAG_HOME": str(home / "home"), "AGENTRAG_CACHE": str(home / "cache"), "NO_COLOR": "1"}


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `agentrag ARGUMENTS` as a process of its own in an empty folder."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "agentrag", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path) | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run
