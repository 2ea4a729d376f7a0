"""Find the encoding of a text file on evidence, or say why it cannot be told."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from agentrag.ingest.documents import Reading

_PIECE = 1 << 20
_HEAD, _SAMPLE = 1 << 16, 1 << 18
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def encoding_of(reading: Reading) -> str:
    """Name the codec of a text file: by its byte order mark, else UTF-8 where all of it is, else by statistics.

    Cost: one pass over the file, 1 MB at a time, at some 500 MB/s.

    Raises:
        DocumentError: It is binary, or its encoding cannot be told.
    """
    with reading.path.open("rb") as file:
        head = file.read(_HEAD)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if is_binary(head):
            raise reading.error("binary data, not text")
        file.seek(0)
        odd = _first_not_utf8(file)
        if odd is None:
            return "utf-8"
        file.seek(odd)
        return guess(reading, file.read(_SAMPLE), odd)


def is_binary(data: bytes) -> bool:
    """Whether bytes without byte order mark hold more control bytes than any text does (over 1 in 500)."""
    return len(_CONTROL.findall(data)) * 500 > len(data)


def guess(reading: Reading, sample: bytes, offset: int) -> str:
    """Name the likeliest codec of bytes that are not UTF-8.

    Args:
        reading: The file, for the message.
        sample: What lies from the first byte on that is not UTF-8.
        offset: Where in the file that byte lies.

    Raises:
        DocumentError: None fits.
    """
    # lazy: only files that are not UTF-8 need it
    from charset_normalizer import from_bytes

    telling = b"\n".join(line for line in sample.split(b"\n") if not line.isascii())  # plain lines tell nothing
    best = None if is_binary(telling) else from_bytes(telling[:_HEAD]).best()
    if best is None or best.chaos > 0.2:
        raise reading.error(
            f"not UTF-8 (byte 0x{sample[0]:02x} at {offset}), and its encoding cannot be told; "
            "convert it, e.g. with: iconv -f ENCODING -t UTF-8"
        )
    return best.encoding


def _first_not_utf8(file: BinaryIO) -> int | None:
    """Offset of the first byte that is not UTF-8; None where all bytes are."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    while True:
        piece = file.read(_PIECE)
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return offset - held + error.start
        if not piece:
            return None
        offset += len(piece)
