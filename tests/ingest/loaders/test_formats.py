"""Which loader reads a file: its name says it, its content may overrule it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrag.core.errors import DocumentError
from agentrag.ingest.loaders.formats import pick


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.txt", b"words", "text"),
        ("A.MD", b"# A", "markdown"),
        ("a.html", b"<p>", "html"),
        ("a.docx", b"PK\x03\x04", "docx"),
        ("corpus.jsonl.gz", b"\x1f\x8b", "corpus"),
        ("a.txt", b"%PDF-1.7", "pdf"),
        ("a.pdf", b"\xef\xbb\xbf\n<!DOCTYPE HTML>", "html"),
        ("download", b"%PDF-1.7", "pdf"),
    ],
    ids=["text", "markdown", "html", "docx", "corpus", "a .txt that is a PDF", "a .pdf that is HTML", "no ending"],
)
def test_the_format_follows_the_name_unless_the_content_says_otherwise(
    tmp_path: Path, name: str, head: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(head)
    assert pick(tmp_path / name, named=False)[0] == expected


@pytest.mark.parametrize("name", ["image.png", "qrels.tsv", "Makefile", "page.php"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(DocumentError, match=r"unknown file type '.*'; known are .*\.pdf"):
        pick(tmp_path / name, named=True)


def test_other_json_lines_count_only_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_bytes(b"{}")
    assert pick(tmp_path / "queries.jsonl", named=True)[0] == "corpus"
    with pytest.raises(DocumentError, match=r"not a document: of such files, folders give only corpus\.jsonl"):
        pick(tmp_path / "queries.jsonl", named=False)
