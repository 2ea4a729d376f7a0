from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentrag.core.settings import load_settings
from agentrag.models.pull import pull

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


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the default embedder, pulled at first use and kept in the user's cache."""
    kept = load_settings().cache
    pull("all-minilm-l6-v2", kept)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").symlink_to(kept / "models")
    return cache
