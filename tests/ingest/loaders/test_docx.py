"""DOCX: structure as readable text, and bombs defused before they are unpacked."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest

from agentrag.core.errors import DocumentError
from agentrag.ingest.loaders import archive

Load = Callable[[Path], Any]


def write_docx(path: Path, text: str = "Take two.") -> Path:
    document = docx.Document()
    document.core_properties.title = "House rules"
    document.add_heading("Kitchen", 1)
    document.add_paragraph(text)
    document.add_heading("Dishes", 2)
    document.add_paragraph("Plates", style="List Bullet")
    document.add_paragraph("Cups", style="List Bullet")
    document.add_paragraph("Wash", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, value in zip([cell for row in table.rows for cell in row.cells], ["Day", "Who", "Monday", "Ada"], strict=True):
        cell.text = value
    document.save(str(path))
    return path


def with_member(path: Path, name: str, data: bytes) -> Path:
    """Add or replace a member of a DOCX file."""
    members = {info.filename: zipfile.ZipFile(path).read(info) for info in zipfile.ZipFile(path).infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for member, content in {**members, name: data}.items():
            packed.writestr(member, content)
    return path


def test_headings_lists_and_tables_become_readable_text(tmp_path: Path, load: Load) -> None:
    loaded = load(write_docx(tmp_path / "rules.docx"))
    assert loaded.titles == ["House rules"]
    assert [heading for _, heading in loaded.places] == ["Kitchen", "Kitchen > Dishes"]
    assert loaded.texts[0] == (
        "# Kitchen\n\nTake two.\n\n## Dishes\n\n- Plates\n- Cups\n\n1. Wash\n\n| Day | Who |\n| Monday | Ada |\n\n"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"0" * 600, "locked by a password, or an old Word file"),
        (b"PK\x03\x04 nothing more", "a broken DOCX"),
        (b"plain words", "a broken DOCX"),
    ],
    ids=["locked", "cut off", "no zip"],
)
def test_what_is_no_docx_is_refused(tmp_path: Path, load: Load, data: bytes, reason: str) -> None:
    file = tmp_path / "rules.docx"
    file.write_bytes(data)
    with pytest.raises(DocumentError, match=reason):
        load(file)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("word/document.xml", b"<a>" + b" " * (10 << 20) + b"</a>", "packed .* to 1"),
        ("word/bomb.xml", b"0" * (archive.TEXT_BYTES + 1), "MB of XML"),
        ("word/document.xml", b"<w:document>" + b"<a>" * 100_000, "a broken DOCX"),
        (
            "word/document.xml",
            b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(12))
            + b"]><a>&a11;</a>",
            "a broken DOCX",
        ),
    ],
    ids=["ratio", "size", "depth", "entities"],
)
def test_a_bomb_is_refused(tmp_path: Path, load: Load, name: str, data: bytes, reason: str) -> None:
    file = with_member(write_docx(tmp_path / "bomb.docx"), name, data)
    with pytest.raises(DocumentError, match=reason):
        load(file)


def test_too_many_members_are_refused(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "many.docx"
    with zipfile.ZipFile(file, "w") as packed:
        for number in range(archive.MEMBERS + 1):
            packed.writestr(f"{number}", b"")
    with pytest.raises(DocumentError, match="10,001 members"):
        load(file)


def test_a_size_that_the_directory_lies_about_is_enforced_while_unpacking(tmp_path: Path, load: Load) -> None:
    file = with_member(write_docx(tmp_path / "liar.docx"), "word/document.xml", b"<a>" + b" " * (40 << 20) + b"</a>")
    data = bytearray(file.read_bytes())
    entry = data.rindex(b"word/document.xml") - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    file.write_bytes(data)
    assert zipfile.ZipFile(io.BytesIO(bytes(data))).getinfo("word/document.xml").file_size == 1000
    with pytest.raises(DocumentError, match="a broken DOCX"):
        load(file)


def test_pictures_are_never_unpacked(tmp_path: Path, load: Load) -> None:
    file = with_member(write_docx(tmp_path / "big.docx"), "word/media/image1.png", b"0" * (archive.TEXT_BYTES + 1))
    assert load(file).titles == ["House rules"]
