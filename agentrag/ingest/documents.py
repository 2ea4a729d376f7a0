"""A document while it is read: a title, and its text in blocks whose offsets count in the whole text."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agentrag.core.errors import DocumentError
from agentrag.core.types import Metadata

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates: SQLite and UTF-8 cannot hold them
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_TITLE = 300


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text with its place, before it has an offset."""

    text: str
    page: int | None = None
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document's text.

    Attributes:
        start: Character offset of the block in the extracted text, which is the concatenation of all blocks.
        page: Page number from 1, where the format has pages.
        heading: The headings above, outermost first, joined by " > ".
    """

    text: str
    start: int
    page: int | None = None
    heading: str = ""

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Document:
    """One document of a file.

    Attributes:
        source: What it is known by: the absolute path, for a record of a corpus file with "#" and the record's id.
        blocks: Its text, read while it is iterated, once. Iterating raises DocumentError where reading fails.
        record: Id inside the corpus file; "" for a file that is one document.
    """

    source: str
    title: str
    blocks: Iterator[Block]
    record: str = ""
    metadata: Metadata = field(default_factory=dict)


Documents = Generator[Document, None, None]


@dataclass
class Reading:
    """The reading of one file: what a loader is given, and where it leaves word of how far it is and what it skipped.

    Attributes:
        path: The file, absolute and resolved.
        size: Its bytes.
        done: Bytes read so far, for the progress bar only.
        problems: One line for every part of the file that was skipped.
        more_problems: How many were not kept because there were too many.
    """

    path: Path
    size: int = 0
    done: int = 0
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0

    @property
    def source(self) -> str:
        """The path as text, the name that documents carry; bytes that are no text become U+FFFD."""
        return storable(str(self.path))

    @property
    def name(self) -> str:
        """The file's name without its ending, for documents that state no title; a file's name may hold any byte."""
        return one_line(self.path.stem)

    def problem(self, reason: str) -> None:
        """Note a part that was skipped; after 20 they are only counted."""
        if len(self.problems) < 20:
            self.problems.append(reason)
        else:
            self.more_problems += 1

    def error(self, reason: str) -> DocumentError:
        """The error to raise where this file cannot be read."""
        return DocumentError(self.source, reason)


def storable(text: str) -> str:
    """Replace, one for one, the characters that no store can hold (NUL, lone surrogates) by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Make a title or heading of a document one line without control characters, at most 300 characters."""
    return " ".join(_CONTROL.sub(" ", text).split())[:_TITLE]


def placed(parts: Iterable[Part]) -> Iterator[Block]:
    """Give parts their offsets; empty parts vanish.

    >>> [block.start for block in placed([Part("ab"), Part(""), Part("c")])]
    [0, 2]
    """
    start = 0
    for part in parts:
        if part.text:
            block = Block(storable(part.text), start, part.page, one_line(part.heading))
            start = block.end
            yield block
