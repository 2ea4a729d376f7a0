"""Large files are streamed: memory stays bounded however long the text is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentrag.ingest.pipeline import Options, Progress, ingest
from agentrag.retrieval.records import Chunk

MB = 1 << 20
PROSE = "The ferry leaves the quay at noon, and comes back at dusk. Nobody waits for it in the rain, except the dog.\n"
SIZES = [20, pytest.param(200, marks=pytest.mark.soak)]


@pytest.fixture
def forgetful(collection: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A collection that counts the characters it is given and keeps none."""
    collection.characters = 0

    async def add(source: str, chunks: Sequence[Chunk]) -> None:
        collection.characters += sum(len(chunk.text) for chunk in chunks)

    monkeypatch.setattr(collection, "add", add)
    return collection


async def grown(paths: list[Path], collection: Any, options: Options) -> float:
    """Ingest, and return by how many MB the memory of this process grew at most."""
    process = psutil.Process()
    before = process.memory_info().rss
    peak = before

    def watch(now: Progress) -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    report = await ingest(paths, collection, options, watch)
    assert report.failed == []
    return (peak - before) / MB


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", ["paragraphs", "lines", "one line", "no spaces"])
async def test_a_large_text_is_streamed(tmp_path: Path, forgetful: Any, options: Options, shape: str, size: int) -> None:
    piece = {
        "paragraphs": (PROSE * 5 + "\n"),
        "lines": PROSE,
        "one line": PROSE.replace("\n", " "),
        "no spaces": "x" * 1000,
    }[shape]
    file = tmp_path / "large.txt"
    with file.open("w", encoding="utf-8") as out:
        for _ in range(size * MB // (len(piece) * 100) + 1):
            out.write(piece * 100)
    assert await grown([file], forgetful, options) < min(300, 60 + size)
    assert forgetful.characters > 0.95 * size * MB


@pytest.mark.parametrize("size", SIZES)
async def test_a_large_corpus_is_streamed(tmp_path: Path, forgetful: Any, options: Options, size: int) -> None:
    file = tmp_path / "corpus.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8", compresslevel=1) as out:
        for number in range(size * MB // (len(PROSE) * 8)):
            out.write(json.dumps({"id": str(number), "title": f"Day {number}", "text": PROSE * 8 + str(number)}) + "\n")
    assert await grown([file], forgetful, options) < min(300, 60 + size)
    assert forgetful.characters > 0.9 * size * MB
