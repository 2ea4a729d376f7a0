"""PDF: text page by page, so that every passage knows its page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from threading import Lock
from typing import Any

from agentrag.ingest.documents import Document, Documents, Part, Reading, one_line, placed
from agentrag.ingest.loaders.formats import Format, loader

PAGES = 5000
_PDFIUM = Lock()
_LOCKED = {4, 5}  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_NO_TITLES = {"", "untitled", "(anonymous)"}
_HYPHEN = re.compile("[\ufffe\x02]\\s*")  # PDFium's mark of a word that was divided at a line's end


def load(reading: Reading) -> Documents:
    """Yield the one document. Its title and headings are those of the file's metadata and outline.

    Cost: memory for one page. PDFium is not thread-safe, so threads wait for each other at every page.

    Raises:
        DocumentError: The file is broken or locked by a password, or has over 5,000 pages, or none of them holds text.
    """
    # lazy: a compiled library of 7 MB
    import pypdfium2

    try:
        with _PDFIUM:
            pdf = pypdfium2.PdfDocument(reading.path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in _LOCKED:
            raise reading.error("locked by a password; save a copy without one") from error
        raise reading.error(f"a broken PDF, or none ({one_line(str(error))})") from error
    try:
        with _PDFIUM:
            count = len(pdf)
            title = one_line(pdf.get_metadata_value("Title"))
        if count > PAGES:
            raise reading.error(f"{count:,} pages; at most {PAGES:,} are read; split it")
        title = title if title.lower() not in _NO_TITLES else reading.name
        yield Document(reading.source, title, placed(_with_text(reading, _parts(reading, pdf, count))))
    finally:
        with _PDFIUM:
            pdf.close()


def _with_text(reading: Reading, parts: Iterator[Part]) -> Iterator[Part]:
    """Pass parts on, unless all of them are blank."""
    blank = []
    for part in parts:
        blank.append(part)
        if part.text.strip():
            yield from chain(blank, parts)
            return
    raise reading.error("no text layer (scanned?); run it through OCR first")


def _parts(reading: Reading, pdf: Any, count: int) -> Iterator[Part]:
    with _PDFIUM:
        outline = _outline(pdf)
    heading = ""
    for index in range(count):
        for part in _cut(_text(reading, pdf, index), heading, outline.get(index, ())):
            heading = part.heading
            yield Part(part.text, index + 1, heading)
        reading.done = reading.size * (index + 1) // count


def _text(reading: Reading, pdf: Any, index: int) -> str:
    """The text of a page with line feeds as line ends, divided words joined, and a blank line after it."""
    import pypdfium2

    try:
        with _PDFIUM:
            page = pdf[index]
            textpage = page.get_textpage()
            text = textpage.get_text_bounded()
            textpage.close()
            page.close()
    except pypdfium2.PdfiumError:
        reading.problem(f"page {index + 1} is broken")
        return ""
    return _HYPHEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip() + "\n\n"


def _cut(text: str, heading: str, entries: Sequence[tuple[str, str]]) -> Iterator[Part]:
    """Cut a page where the titles of its outline entries stand as lines of their own.

    Args:
        text: The page.
        heading: What the page begins under.
        entries: Title and heading path of the entries that point to this page, in order.
    """
    starts, names = [0], [heading]
    for title, path in entries:
        pattern = r"\s+".join(map(re.escape, title.split()))
        line = re.compile(rf"^[ \t]*(?:[\d.]+[ \t]+)?{pattern}[ \t]*$", re.MULTILINE).search(text, starts[-1])
        if line and line.start() > starts[-1]:
            starts.append(line.start())
            names.append(path)
        else:
            names[-1] = path  # it begins the part, or its place is not known: it holds from here on
    for (start, end), name in zip(pairwise([*starts, len(text)]), names, strict=True):
        yield Part(text[start:end], heading=name)


def _outline(pdf: Any) -> dict[int, list[tuple[str, str]]]:
    """Title and heading path of the outline entries, by the index of the page that they point to."""
    entries: dict[int, list[tuple[str, str]]] = {}
    path: list[str] = []
    for entry in pdf.get_toc(max_depth=8):
        target = entry.get_dest()
        page = target.get_index() if target else None
        title = one_line(entry.get_title() or "")
        path = [*path[: entry.level], title]
        if page is not None and title:
            entries.setdefault(page, []).append((title, " > ".join(filter(None, path))))
    return entries


loader("pdf")(Format((".pdf",), load))
