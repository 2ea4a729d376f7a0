"""Markdown: the raw text, and headings where CommonMark sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.ingest.loaders.markdown import headings

Load = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n", [(0, 1, "A")]),
        ("A\n===\n\nB\n---\n", [(0, 1, "A"), (7, 2, "B")]),
        ("```\n# no\n```\n# yes\n", [(13, 1, "yes")]),
        ("    # code\n", []),
        ("> # quoted\n\n- # item\n", []),
        ("---\ntitle: front\n---\n# A\n", [(21, 1, "A")]),
        ("## *Fast* `code` and [link](http://x) ##\n", [(0, 2, "Fast code and link")]),
        ("text\n\n---\n\nmore\n", []),
        ("#no\n#\n", [(4, 1, "")]),
    ],
    ids=["atx", "setext", "fence", "indented", "nested", "front matter", "inline marks", "rule", "no space"],
)
def test_headings_are_found_where_commonmark_has_them(text: str, expected: list[tuple[int, int, str]]) -> None:
    assert headings(text) == expected


def test_the_raw_text_is_kept_and_parts_know_their_path(tmp_path: Path, load: Load) -> None:
    text = "Before.\n\n# Guide\n\nHi.\n\n### Deep\n\n## Wide\n\nx\n\n# Other\n"
    file = tmp_path / "guide.md"
    file.write_text(text, encoding="utf-8")
    loaded = load(file)
    assert loaded.texts == [text]
    assert loaded.titles == ["Guide"]
    assert [heading for _, heading in loaded.places] == ["", "Guide", "Guide > Deep", "Guide > Wide", "Other"]


def test_a_file_without_headings_is_titled_by_its_name(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "notes of may.md"
    file.write_text("Nothing here.", encoding="utf-8")
    assert load(file).titles == ["notes of may"]


def test_control_characters_never_reach_a_title(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "evil.md"
    file.write_text("# Clear \x1b[2J screen\u202e\n", encoding="utf-8")
    assert load(file).titles == ["Clear [2J screen"]


def test_a_file_too_large_to_parse_is_streamed_as_text(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "dump.md"
    file.write_text("# Day\n\nWords.\n\n" * 600_000, encoding="utf-8")
    loaded = load(file)
    assert loaded.titles == ["dump"]
    assert len(loaded.places) > 5
