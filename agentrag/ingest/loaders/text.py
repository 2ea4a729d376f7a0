"""Plain text, streamed: a file of any size is held one piece at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import TextIOWrapper

from agentrag.ingest.documents import Document, Documents, Part, Reading, placed
from agentrag.ingest.loaders.encodings import encoding_of
from agentrag.ingest.loaders.formats import Format, loader

_PIECE = 1 << 20
_PARAGRAPH = re.compile(r"\n\s*\n")


def load(reading: Reading) -> Documents:
    """Yield the one document: the decoded text, byte order mark dropped, every line end as one line feed.

    Raises:
        DocumentError: The file is binary, or its encoding cannot be told, or it changes on the way.
    """
    yield Document(reading.source, reading.name, placed(Part(piece) for piece in pieces(reading)))


def pieces(reading: Reading) -> Iterator[str]:
    """Yield the decoded text in pieces of at most 2 million characters, cut after a paragraph where there is one.

    Raises:
        DocumentError: As `load`.
    """
    encoding = encoding_of(reading)
    rest = ""
    with reading.path.open("rb") as raw:
        stream = TextIOWrapper(raw, encoding, newline=None)
        try:
            while piece := stream.read(_PIECE):
                reading.done = min(reading.size, raw.tell())
                text = rest + piece
                cut = _cut(text)
                rest = text[cut:]
                yield text[:cut]
        except UnicodeDecodeError as error:
            raise reading.error(f"it seems to be {encoding}, but is not to its end; convert it to UTF-8 first") from error
    yield rest


def _cut(text: str) -> int:
    """Where to cut: after the last paragraph of the second half, else after its last word, else at the end."""
    half = len(text) // 2
    ends = [match.end() for match in _PARAGRAPH.finditer(text, half)]
    if ends and ends[-1] < len(text):
        return ends[-1]
    if len(ends) > 1:
        return ends[-2]
    space = max(text.rfind(" ", half), text.rfind("\n", half))
    return space + 1 if space >= 0 else len(text)


loader("text")(Format((".txt", ".text", ".log", ".rst"), load))
