"""DOCX: headings, paragraphs, lists and tables as readable text. Older Word files and images are not read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring
from xml.parsers.expat import ExpatError

from agentrag.ingest.documents import Document, Documents, Part, Reading, one_line, placed
from agentrag.ingest.loaders.archive import BombError, text_members
from agentrag.ingest.loaders.formats import Format, loader

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STYLES = "p[style-name='Title'] => h1.title:fresh\np[style-name='Subtitle'] => p:fresh"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def load(reading: Reading) -> Documents:
    """Yield the one document: the lines of a heading begin with "#", list items with "-", table rows with "|".

    The title is that of the file's properties, else its first heading, else the file's name.

    Cost: about 3 s and 20 MB of memory for each MB of XML inside, of which a novel has two.

    Raises:
        DocumentError: The file is locked, broken, no DOCX, or would unpack to more than any document holds.
    """
    # lazy: 0.2 s
    import mammoth
    from lxml.html import fragment_fromstring

    with _members(reading) as members:
        try:
            title = _title(members)
            page = mammoth.convert_to_html(
                members, style_map=_STYLES, include_embedded_style_map=False, external_file_access=False
            )
            body = fragment_fromstring(page.value, create_parent="body")
        except (ExpatError, ParseError, KeyError, ValueError, RecursionError, OSError, AttributeError) as error:
            raise reading.error(f"a broken DOCX, or none ({one_line(str(error))})") from error
    parts = list(_parts(body))
    reading.done = reading.size
    title = title or next((part.heading for part in parts if part.heading), "") or reading.name
    yield Document(reading.source, one_line(title), placed(parts))


def _members(reading: Reading) -> io.BytesIO:
    with reading.path.open("rb") as file:
        if file.read(8) == _OLE:
            raise reading.error("locked by a password, or an old Word file; save it as .docx without a password")
    try:
        return text_members(reading.path)
    except BombError as error:
        raise reading.error(f"a ZIP bomb, or no document ({error})") from error
    except zipfile.BadZipFile as error:
        raise reading.error(f"a broken DOCX, or none ({one_line(str(error))})") from error


def _title(members: io.BytesIO) -> str:
    with zipfile.ZipFile(members) as packed:
        if "docProps/core.xml" not in packed.namelist():
            return ""
        # Expat bounds the expansion of entities since 2.4.1, and the members are bounded already
        properties = fromstring(packed.read("docProps/core.xml"))  # noqa: S314
    return properties.findtext("{http://purl.org/dc/elements/1.1/}title") or ""


def _parts(body: Any) -> Iterator[Part]:
    """A part for every heading with what stands under it."""
    path: list[tuple[int, str]] = []
    held: list[str] = []
    for element in body:
        level = 0 if element.get("class") == "title" else _HEADINGS.get(element.tag)
        if level is not None and (name := one_line(element.text_content())):
            yield _part(held, path)
            path = [*(entry for entry in path if entry[0] < level), (level, name)]
            held = [f"{'#' * max(1, level)} {name}\n\n"]
        elif lines := _lines(element):
            held.append("\n".join(lines) + "\n\n")
    yield _part(held, path)


def _part(texts: Iterable[str], path: Iterable[tuple[int, str]]) -> Part:
    return Part("".join(texts), heading=" > ".join(name for _, name in path))


def _lines(element: Any, indent: str = "") -> list[str]:
    """The lines of a paragraph, list or table."""
    if element.tag in {"ul", "ol"}:
        return [line for item in element for line in _item(item, element.tag, indent)]
    if element.tag == "table":
        return ["| " + " | ".join(_flat(cell) for cell in row) + " |" for row in element.iter("tr")]
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    text = "\n".join(" ".join(line.split()) for line in element.text_content().split("\n"))
    return [text] if text.strip() else []


def _item(item: Any, kind: str, indent: str) -> list[str]:
    """A list item's own text after its mark, then the lists inside it, indented."""
    inner = [child for child in item if child.tag in {"ul", "ol"}]
    for child in inner:
        item.remove(child)
    mark = f"{item.getparent().index(item) + 1}." if kind == "ol" else "-"
    lines = [f"{indent}{mark} {_flat(item)}"]
    for child in inner:
        lines.extend(_lines(child, indent + "  "))
    return lines


def _flat(element: Any) -> str:
    """All text below an element on one line."""
    return " ".join(" ".join(element.itertext()).split())


loader("docx")(Format((".docx",), load))
