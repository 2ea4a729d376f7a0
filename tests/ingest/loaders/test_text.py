"""Plain text: every encoding that can be told, refusals with reasons, and streams."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import DocumentError
from agentrag.ingest.documents import Reading
from agentrag.ingest.loaders.text import pieces

Load = Callable[[Path], Any]
GERMAN = "Die Fähre fährt täglich um zwölf Uhr über den Sund; Gepäck kostet fünf Euro.\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_read_whatever_its_encoding(tmp_path: Path, load: Load, codec: str) -> None:
    file = tmp_path / "ferry.txt"
    file.write_bytes((GERMAN * 30).encode(codec))
    assert load(file).texts == [GERMAN * 30]


def test_the_first_odd_byte_decides_even_far_into_the_file(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "late.txt"
    file.write_bytes(b"Plain words only.\n" * 200_000 + (GERMAN * 30).encode("cp1252"))
    assert load(file).texts[0].endswith(GERMAN)


def test_line_ends_become_line_feeds_and_a_nul_becomes_a_replacement_character(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "dos.txt"
    file.write_bytes(b"a\r\nb\rc\n" + b"d" * 2000 + b"\x00e")
    assert load(file).texts == ["a\nb\nc\n" + "d" * 2000 + "\ufffde"]


def test_binary_data_named_txt_is_refused(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "garbage.txt"
    file.write_bytes(random.Random(1).randbytes(4000))
    with pytest.raises(DocumentError, match="binary data, not text"):
        load(file)


def test_an_encoding_that_cannot_be_told_is_refused_with_the_place_and_a_way_out(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "odd.txt"
    file.write_bytes(b"abc " + bytes(random.Random(2).choices(range(128, 256), k=3000)))
    with pytest.raises(DocumentError, match=r"not UTF-8 \(byte 0x.. at 4\).*iconv"):
        load(file)


def test_text_comes_in_pieces_cut_after_paragraphs(tmp_path: Path) -> None:
    text = "".join(f"Paragraph {number} of the long text.\n\n" for number in range(100_000))
    file = tmp_path / "long.txt"
    file.write_text(text, encoding="utf-8")
    found = list(pieces(Reading(file, file.stat().st_size)))
    assert "".join(found) == text
    assert len(found) > 3
    assert all(piece.endswith("\n\n") for piece in found[:-1])
    assert max(map(len, found)) <= 2 << 20


def test_a_text_without_any_space_comes_in_pieces_too(tmp_path: Path) -> None:
    file = tmp_path / "base64.txt"
    file.write_text("x" * (3 << 20), encoding="utf-8")
    assert sum(map(len, pieces(Reading(file, 3 << 20)))) == 3 << 20


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_a_file_name_of_any_bytes_gives_a_title_that_can_be_stored_and_shown(tmp_path: Path, load: Load, suffix: str) -> None:
    file = tmp_path / f"\udcffferry\x1b[31m\nnews{suffix}"
    try:
        file.write_bytes(b"It leaves at nine.")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert load(file).titles == ["ferry [31m news"]
