"""Read a Markdown source into the few kinds of block that the sample documents use."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from ruamel.yaml import YAML

PAGE_MARK = "<!-- page -->"


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    ordered: bool
    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of equal length; the first row is the header."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PageBreak:
    """Ask for a new page; formats without pages ignore it."""


Block = Heading | Paragraph | Bullets | Table | PageBreak


@dataclass(frozen=True)
class Source:
    """One sample document: the header of the Markdown file and its blocks in order."""

    header: dict[str, str]
    blocks: tuple[Block, ...]


def read_source(path: Path) -> Source:
    """Parse a Markdown file that starts with a YAML header between two `---` lines.

    Raises:
        ValueError: no header, or Markdown that no sample format can show.
    """
    start, _, rest = path.read_text(encoding="utf-8").partition("---\n")
    header, found, body = rest.partition("---\n")
    if start or not found:
        raise ValueError(f"{path}:1: expected a YAML header between two '---' lines")
    fields = YAML(typ="base").load(header)
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    return Source(dict(fields), tuple(_blocks(tokens, path)))


def _blocks(tokens: list[Token], path: Path) -> Iterator[Block]:
    rest = iter(tokens)
    for token in rest:
        match token.type:
            case "heading_open":
                yield Heading(int(token.tag[1:]), next(rest).content)
            case "paragraph_open":
                yield Paragraph(next(rest).content)
            case "bullet_list_open" | "ordered_list_open":
                inside = _until(rest, token.type.replace("open", "close"))
                yield Bullets(token.tag == "ol", tuple(_texts(inside)))
            case "table_open":
                yield Table(tuple(_rows(_until(rest, "table_close"))))
            case "html_block" if token.content.strip() == PAGE_MARK:
                yield PageBreak()
            case "heading_close" | "paragraph_close":
                pass
            case other:
                raise ValueError(f"{path}: sample documents have no {other}")


def _until(tokens: Iterator[Token], end: str) -> list[Token]:
    inside = []
    for token in tokens:
        if token.type == end:
            break
        inside.append(token)
    return inside


def _texts(tokens: list[Token]) -> Iterator[str]:
    return (token.content for token in tokens if token.type == "inline")


def _rows(tokens: list[Token]) -> Iterator[tuple[str, ...]]:
    rest = iter(tokens)
    for token in rest:
        if token.type == "tr_open":
            yield tuple(_texts(_until(rest, "tr_close")))
