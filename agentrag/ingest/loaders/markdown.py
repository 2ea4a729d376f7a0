"""Markdown: the raw text is kept; headings outside code give every part its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from agentrag.ingest.documents import Document, Documents, Part, Reading, one_line, placed
from agentrag.ingest.loaders.formats import Format, loader
from agentrag.ingest.loaders.text import pieces

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MOST = 8 << 20
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)


def load(reading: Reading) -> Documents:
    """Yield the one document. The title is its first heading of the highest level, else the file's name.

    A file over 8 MB is streamed as plain text, without headings.

    Raises:
        DocumentError: As for plain text.
    """
    if reading.size > _MOST:
        yield Document(reading.source, reading.name, placed(Part(piece) for piece in pieces(reading)))
        return
    text = "".join(pieces(reading))
    found = headings(text)
    title = min(found, key=lambda heading: heading[1], default=(0, 0, reading.name))[2]
    yield Document(reading.source, title, placed(parts(text, found)))


def parts(text: str, found: Sequence[tuple[int, int, str]]) -> Iterator[Part]:
    r"""Cut a text before each of its headings, and say under which headings each part stands.

    Args:
        text: The whole text.
        found: As `headings(text)` gives it.

    >>> [part.heading for part in parts("# A\n## B\nb\n# C\n", headings("# A\n## B\nb\n# C\n"))]
    ['', 'A', 'A > B', 'C']
    """
    path: list[tuple[int, str]] = []
    yield Part(text[: found[0][0]] if found else text)
    ends = [*(start for start, _, _ in found), len(text)]
    for (_, level, name), (start, end) in zip(found, pairwise(ends), strict=True):
        path = [*(entry for entry in path if entry[0] < level), (level, name)]
        yield Part(text[start:end], heading=" > ".join(entry[1] for entry in path if entry[1]))


def headings(text: str) -> list[tuple[int, int, str]]:
    """Offset, level 1..6 and plain text of every ATX and setext heading, in order.

    Front matter, code, quotes and lists hold no headings. Source: CommonMark 0.31, through markdown-it-py.
    """
    # lazy: only Markdown and HTML files need it
    from markdown_it import MarkdownIt

    matter = _FRONT_MATTER.match(text)
    skipped = matter.end() if matter else 0
    lines = _line_starts(text, skipped)
    parser = MarkdownIt("commonmark")
    tokens = parser.disable("inline").parse(text[skipped:])
    inline = MarkdownIt("commonmark")
    found = []
    for token, content in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            found.append((lines[token.map[0]], int(token.tag[1:]), _plain(inline, content.content)))
    return found


def _line_starts(text: str, offset: int) -> list[int]:
    starts = [offset]
    starts.extend(match.end() for match in re.compile("\n").finditer(text, offset))
    return starts


def _plain(inline: MarkdownIt, content: str) -> str:
    """The words of a heading without emphasis, links and code marks."""
    children = inline.parseInline(content)[0].children or []
    return one_line("".join(child.content or " " * (child.type == "softbreak") for child in children))


loader("markdown")(Format((".md", ".markdown", ".mdown", ".mkd"), load))
