"""Interrupted at any instant, ingestion loses nothing that was complete and goes on where it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from agentrag.core.settings import Settings
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder

WORKER = Path(__file__).with_name("worker.py")
FILES = 120


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("documents")
    for number in range(FILES):
        body = "".join(f"Sentence {line} of document {number} says nothing new at all. " for line in range(number % 7 * 60 + 5))
        (root / f"{number:03}.txt").write_text(body, encoding="utf-8")
    return root


def start(home: Path, documents: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(seconds), str(documents), "--collection", "notes"],
        env=os.environ | {"AGENTRAG_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complete(home: Path) -> int:
    """How many documents are complete now, while a process may be writing; -1 before there is a database."""
    file = home / "collections" / "notes" / "collection.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            count: int = database.execute("SELECT count(*) FROM documents WHERE complete = 1").fetchone()[0]
            return count
    except sqlite3.OperationalError:
        return -1


def has(home: Path, documents: int) -> bool:
    return complete(home) >= documents


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait for a process to get somewhere; it must not end before."""
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def stored(home: Path) -> tuple[dict[str, tuple[int, int]], str, list[str]]:
    """Passages and characters by document, the version, and what verification finds."""
    collection = Collections(Settings(home=home), WordEmbedder()).open("notes", write=True)
    try:
        documents = {source: (entry.passages, entry.characters) for source, entry in collection.documents().items()}
        return documents, collection.version, collection.verify()
    finally:
        collection.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, documents: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """What an undisturbed run stores."""
    home = tmp_path_factory.mktemp("whole")
    process = start(home, documents, 0.0)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{FILES} added" in out
    found, version, wrong = stored(home)
    assert wrong == []
    return found, version


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "term", "kill -9"])
def test_what_was_complete_stays_and_the_next_run_goes_on(
    tmp_path: Path, documents: Path, whole: tuple[dict[str, tuple[int, int]], str], kind: signal.Signals
) -> None:
    kept = 0
    for more, wait in [(0, 0.05), (1, 0.0), (1, 0.13), (5, 0.31)]:
        process = start(tmp_path, documents, 0.4)
        until(process, partial(has, tmp_path, kept + more))
        time.sleep(wait)
        process.send_signal(kind)
        _, err = process.communicate(timeout=60)
        assert process.returncode == (-signal.SIGKILL if kind == signal.SIGKILL else 130), err
        assert "Traceback" not in err
        found, _, wrong = stored(tmp_path)
        assert wrong == []
        assert len(found) >= kept
        assert found.items() <= whole[0].items()
        kept = len(found)
    assert 0 < kept < FILES
    process = start(tmp_path, documents, 0.0)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{FILES - kept} added, 0 replaced, {kept} unchanged" in out
    assert stored(tmp_path) == (*whole, [])


def test_a_second_process_is_told_who_writes_the_collection(tmp_path: Path, documents: Path) -> None:
    first = start(tmp_path, documents, 2.0)
    try:
        until(first, partial(has, tmp_path, 0))
        second = start(tmp_path, documents, 0.0)
        _, err = second.communicate(timeout=60)
        assert second.returncode == 1
        assert err.splitlines() == [
            f"error: Collection 'notes' is in use by process {first.pid}; only one process may write it. Wait for it or end it."
        ]
    finally:
        first.kill()
        first.communicate()
