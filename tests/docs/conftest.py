"""A user's machine for the blocks of the documentation: sample documents, two collections, and a model server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from agentrag.cli.demo import samples
from agentrag.core.settings import DEFAULT_EMBEDDER
from agentrag.models.pull import pull
from agentrag.testing.server import Reply, StubChatServer
from tools.doc_regions import ROOT

ANSWER = "Lantern House has six beds."


@dataclass(frozen=True)
class Machine:
    """Where blocks run, and the environment that they run in."""

    documents: Path
    environment: Mapping[str, str]

    def run(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in `folder`, which is given the documents, a list of questions and a link to the tools."""
        links = {"documents": self.documents, "quiz": ROOT / "examples" / "quiz", "examples": ROOT / "examples"}
        for name, target in {**links, ".venv": Path(sys.prefix)}.items():
            if not (folder / name).exists():
                (folder / name).symlink_to(target)
        (folder / "questions.txt").write_text("How many beds does Lantern House have?\nAnd how many steps?\n", encoding="utf-8")
        return subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=240)

    def with_model(self, name: str) -> Machine:
        """The same machine with a real local model behind every binding."""
        pull(name, Path(self.environment["AGENTRAG_CACHE"]))
        return replace(self, environment={**self.environment, **_bindings({"provider": "llamacpp", "model": name})})


def _bindings(binding: dict[str, str]) -> dict[str, str]:
    return {"AGENTRAG_MODELS": json.dumps({"default": binding, "local": binding})}


@pytest.fixture(scope="session")
def stub_url() -> Iterator[str]:
    """The address of a model server that judges yes and always answers the same."""
    loop = asyncio.new_event_loop()
    server = StubChatServer(lambda body: Reply("yes") if body.get("logprobs") else Reply(ANSWER))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    yield server.url
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, stub_url: str) -> Machine:
    """Models are kept in the user's cache, so that they are fetched once for all test runs."""
    folder = tmp_path_factory.mktemp("machine")
    cache = Path(os.environ.get("AGENTRAG_CACHE") or user_cache_path("agentrag"))
    pull(DEFAULT_EMBEDDER, cache)
    for sample in samples():
        (folder / "documents").mkdir(exist_ok=True)
        shutil.copy2(sample, folder / "documents" / sample.name)
    found = Machine(folder / "documents", _environment(folder, cache) | _bindings(_stub(stub_url)))
    for name in ("docs", "demo"):
        done = found.run(folder, "agentrag", "ingest", "documents", "--collection", name)
        assert done.returncode == 0, done.stderr
    return found


def _stub(url: str) -> dict[str, Any]:
    return {"provider": "openai-compatible", "url": url, "model": "stub"}


def _environment(folder: Path, cache: Path) -> dict[str, str]:
    """A user's environment, in which `make` only says what it would do."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "make").write_text(f'#!/bin/sh\nexec {shutil.which("make")} --dry-run -C "{ROOT}" "$@"\n', encoding="utf-8")
    (tools / "make").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AGENTRAG_")}
    return plain | {"PATH": path, "AGENTRAG_HOME": str(folder / "home"), "AGENTRAG_CACHE": str(cache)}
