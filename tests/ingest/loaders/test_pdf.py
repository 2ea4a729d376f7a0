"""PDF: pages, outline headings, and a reason for every file that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from agentrag.core.errors import DocumentError

Load = Callable[[Path], Any]


def write_pdf(path: Path, pages: list[list[str]], outline: bool = False, **settings: Any) -> Path:
    """Write a PDF with the given lines on its pages; with `outline`, each first line is an outline entry."""
    canvas = Canvas(str(path), **settings)
    for number, lines in enumerate(pages):
        if outline:
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(lines[0], str(number), level=0)
        for place, line in enumerate(lines):
            canvas.drawString(72, 750 - 20 * place, line)
        canvas.showPage()
    canvas.save()
    return path


def test_every_page_is_a_block_with_its_number(tmp_path: Path, load: Load) -> None:
    loaded = load(write_pdf(tmp_path / "book.pdf", [["First page."], ["Second", "page."]]))
    assert loaded.texts == ["First page.\n\nSecond\npage.\n\n"]
    assert [page for page, _ in loaded.places] == [1, 2]
    assert loaded.titles == ["book"]


def test_outline_entries_become_headings_from_their_line_on(tmp_path: Path, load: Load) -> None:
    pages = [["Boats", "Wear a vest."], ["Cliffs", "Take a rope."]]
    loaded = load(write_pdf(tmp_path / "book.pdf", pages, outline=True))
    assert loaded.places == [(1, "Boats"), (2, "Cliffs")]


def test_an_outline_entry_in_the_middle_of_a_page_cuts_it(tmp_path: Path, load: Load) -> None:
    canvas = Canvas(str(tmp_path / "book.pdf"))
    canvas.setTitle("The\x07 manual")
    for line, text in enumerate(["Boats", "Wear a vest.", "1.2 Cliffs", "Take a rope."]):
        canvas.drawString(72, 700 - 20 * line, text)
    for name in ("Boats", "Cliffs"):
        canvas.bookmarkPage(name)
        canvas.addOutlineEntry(name, name)
    canvas.showPage()
    canvas.drawString(72, 700, "And good shoes.")
    canvas.save()
    loaded = load(tmp_path / "book.pdf")
    assert loaded.places == [(1, "Boats"), (1, "Cliffs"), (2, "Cliffs")]
    assert loaded.titles == ["The manual"]


def test_a_password_a_broken_file_and_too_many_pages_have_their_reasons(tmp_path: Path, load: Load) -> None:
    locked = write_pdf(tmp_path / "locked.pdf", [["x"]], encrypt=StandardEncryption("secret"))
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n" + b"nonsense " * 50)
    huge = write_pdf(tmp_path / "huge.pdf", [["x"]] * 5001)
    blank = write_pdf(tmp_path / "scan.pdf", [[], []])
    for file, reason in [
        (locked, "locked by a password"),
        (broken, "a broken PDF"),
        (huge, "5,001 pages; at most 5,000"),
        (blank, r"no text layer \(scanned\?\)"),
    ]:
        with pytest.raises(DocumentError, match=reason):
            load(file)


def test_a_cut_off_pdf_is_refused_or_read_but_never_crashes(tmp_path: Path, load: Load) -> None:
    whole = write_pdf(tmp_path / "whole.pdf", [["Some words."]] * 3).read_bytes()
    for end in range(100, len(whole), len(whole) // 20):
        file = tmp_path / "cut.pdf"
        file.write_bytes(whole[:end])
        try:
            assert "Some words" in load(file).texts[0]
        except DocumentError:
            continue


def test_many_threads_read_pdfs_at_once(tmp_path: Path, load: Load) -> None:
    files = [
        write_pdf(tmp_path / f"{number}.pdf", [[f"Page {page} of {number}."] for page in range(20)]) for number in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, files))
    assert [found.texts[0].split("\n")[0] for found in loaded] == [f"Page 0 of {number}." for number in range(8)]
