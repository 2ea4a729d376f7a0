"""HTML: the main text with its headings, without what surrounds it on every page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import DocumentError

Load = Callable[[Path], Any]
PAGE = """<!doctype html><html><head>{meta}<title>Ferry fares</title></head><body>
<nav><a href="/">Home</a> <a href="/jobs">Job offers</a></nav>
<main><h1>Ferry fares</h1><p>The crossing takes one hour and fifteen minutes, and the ship carries 48 passengers.</p>
<h2>Bicycles</h2><p>A bicycle costs 4 euros; children travel at half the fare, and Gepäck is free of charge.</p>
<table><tr><th>Ticket</th><th>Price</th></tr><tr><td>Adult</td><td>14 euros</td></tr></table></main>
<footer>All rights reserved by the line</footer></body></html>"""


@pytest.mark.parametrize(
    ("meta", "codec"),
    [
        ('<meta charset="iso-8859-1">', "latin-1"),
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("<meta charset=x-no>", "utf-8"),
    ],
)
def test_a_page_is_read_in_the_encoding_it_declares_or_shows(tmp_path: Path, load: Load, meta: str, codec: str) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(PAGE.format(meta=meta).encode(codec))
    assert "Gepäck" in load(file).texts[0]


def test_headings_and_tables_stay_and_navigation_goes(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "page.htm"
    file.write_text(PAGE.format(meta=""), encoding="utf-8")
    loaded = load(file)
    assert loaded.titles == ["Ferry fares"]
    assert [heading for _, heading in loaded.places] == ["Ferry fares", "Ferry fares > Bicycles"]
    assert "| Adult | 14 euros |" in loaded.texts[0]
    assert "Job offers" not in loaded.texts[0]
    assert "All rights reserved" not in loaded.texts[0]


@pytest.mark.parametrize("page", ["<html><body></body></html>", "<html><script>let a = 1</script></html>"])
def test_a_page_without_text_is_refused(tmp_path: Path, load: Load, page: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    with pytest.raises(DocumentError, match="no text found"):
        load(file)


def test_a_page_that_would_fill_the_memory_is_refused(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(b"<html>" + b" " * (16 << 20))
    with pytest.raises(DocumentError, match="an HTML file over 16 MB"):
        load(file)
