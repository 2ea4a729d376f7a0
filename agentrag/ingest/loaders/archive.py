"""Read the text parts of a ZIP container without being flooded by it."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

MEMBERS = 10_000
TEXT_BYTES = 32 << 20
RATIO = 200
_RATIO_FROM = 8 << 20
_TEXT = (".xml", ".rels")


class BombError(Exception):
    """The container holds, or claims to hold, far more than any document does."""


def text_members(path: Path) -> io.BytesIO:
    """Copy the XML members of a ZIP file, checked, into an uncompressed ZIP of at most 32 MB in memory, without media.

    What the directory declares is checked before anything is unpacked, and enforced while it is.

    Raises:
        BombError: Over 10,000 members, over 32 MB of XML, or over 8 MB of it packed more than 200 to 1.
        zipfile.BadZipFile: Not a ZIP file, or a damaged one.
        OSError: The file cannot be read.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as packed:
        chosen = _checked(packed.infolist())
        left = TEXT_BYTES
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as plain:
            for member in chosen:
                data = _bounded(packed, member, left)
                left -= len(data)
                plain.writestr(member.filename, data)
    copy.seek(0)
    return copy


def _checked(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    if len(members) > MEMBERS:
        raise BombError(f"{len(members):,} members")
    chosen = [member for member in members if member.filename.lower().endswith(_TEXT)]
    size = sum(member.file_size for member in chosen)
    if size > TEXT_BYTES:
        raise BombError(f"{size >> 20:,} MB of XML; at most {TEXT_BYTES >> 20} MB are read")
    for member in chosen:
        if member.file_size > _RATIO_FROM and member.file_size > RATIO * member.compress_size:
            raise BombError(f"a member packed {member.file_size // max(1, member.compress_size):,} to 1")
    return chosen


def _bounded(packed: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> bytes:
    try:
        with packed.open(member) as stream:
            data = stream.read(left + 1)
    except (zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        # encrypted members and unknown compressions come as RuntimeError and NotImplementedError
        raise zipfile.BadZipFile(str(error)) from error
    if len(data) > left:
        raise BombError("more XML than its directory declares")
    return data
