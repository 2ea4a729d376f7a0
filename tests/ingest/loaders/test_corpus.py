"""Corpora in BEIR form: record by record, wrong lines named and passed over."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import DocumentError
from agentrag.ingest.documents import Reading
from agentrag.ingest.loaders import corpus

Load = Callable[[Path], Any]


def records(path: Path) -> tuple[list[Any], list[str]]:
    reading = Reading(path, path.stat().st_size)
    return [(found, "".join(block.text for block in found.blocks)) for found in corpus.load(reading)], reading.problems


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_records_have_ids_titles_text_and_metadata(tmp_path: Path, packed: bool) -> None:
    lines = [
        {"_id": "a", "title": "Boats\x07", "text": "Row.\r\nRow.", "year": 1920, "tags": ["x"], "metadata": {"lang": "en"}},
        {"id": 7, "text": "\ud800 odd", "score": float("nan"), "big": 2**70, "ok": True},
        {"id": "t", "title": "Only a title", "text": ""},
    ]
    file = tmp_path / ("corpus.jsonl.gz" if packed else "corpus.jsonl")
    data = "\n".join(map(json.dumps, lines)).encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    found, problems = records(file)
    assert problems == []
    assert [(document.record, document.title, text) for document, text in found] == [
        ("a", "Boats", "Row.\nRow."),
        ("7", "", "\ufffd odd"),
        ("t", "Only a title", "Only a title"),
    ]
    assert [document.metadata for document, _ in found] == [{"lang": "en", "year": 1920}, {"ok": True}, {}]
    assert found[0][0].source == f"{file}#a"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "line 2: Expecting"),
        ("[1]", "line 2: not a JSON object"),
        ('{"text": "x"}', "line 2: no 'id'"),
        ('{"id": "b"}', "line 2: neither 'text' nor 'title'"),
        ('{"id": "b", "text": 3}', "line 2: 'title' and 'text'"),
        ('{"id": "a", "text": "x"}', "line 2: id 'a' was there before"),
        ("[" * 100_000, "line 2: "),
        ('{"id": "b", "text": "' + "x" * (16 << 20) + '"}', "line 2: longer than 16 MB"),
    ],
    ids=["json", "array", "no id", "no text", "types", "double", "depth", "length"],
)
def test_a_wrong_line_is_named_and_passed_over(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"id": "a", "text": "x"}\n' + line + '\n\n{"id": "z", "text": "y"}', encoding="utf-8")
    found, problems = records(file)
    assert [document.record for document, _ in found] == ["a", "z"]
    assert len(problems) == 1
    assert problems[0].startswith(reason)


def test_a_cut_off_gzip_gives_the_records_before_the_cut(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl.gz"
    lines = "\n".join(json.dumps({"id": str(number), "text": f"{number * 7919}"}) for number in range(5000))
    file.write_bytes(gzip.compress(lines.encode())[:-5000])
    documents = corpus.load(Reading(file, file.stat().st_size))
    assert [next(documents).record for _ in range(2)] == ["0", "1"]
    with pytest.raises(DocumentError, match="a broken gzip file"):
        list(documents)


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_UNPACKED", 40 << 20)
    file = tmp_path / "corpus.jsonl.gz"
    file.write_bytes(gzip.compress(b"x" * (60 << 20)))
    with pytest.raises(DocumentError, match="a gzip bomb"):
        records(file)
