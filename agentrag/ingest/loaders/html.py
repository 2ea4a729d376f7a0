"""HTML: the main text as Markdown, without navigation, headers and footers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from agentrag.ingest.documents import Document, Documents, Reading, one_line, placed
from agentrag.ingest.loaders.encodings import guess
from agentrag.ingest.loaders.formats import Format, loader
from agentrag.ingest.loaders.markdown import headings, parts

_MOST = 16 << 20
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)


def load(reading: Reading) -> Documents:
    """Yield the one document: headings, lists and tables as Markdown. The title is the page's.

    Cost: about 4 s and 75 MB of memory for each MB.

    Raises:
        DocumentError: The file is over 16 MB, its encoding cannot be told, or it holds no text.
    """
    # lazy: 0.4 s
    from trafilatura import extract, extract_metadata
    from trafilatura.utils import load_html

    if reading.size > _MOST:
        raise reading.error("an HTML file over 16 MB; split it, or save it as text")
    tree = load_html(_decoded(reading))
    if tree is None:
        raise reading.error("not HTML")
    title = getattr(extract_metadata(tree), "title", None) or reading.name
    text = extract(tree, output_format="markdown", include_comments=False, include_formatting=True, favor_recall=True)
    if not text:
        raise reading.error("no text found (a page that is filled by scripts?)")
    reading.done = reading.size
    yield Document(reading.source, one_line(title), placed(parts(text, headings(text))))


def _decoded(reading: Reading) -> str:
    """The page's text by its byte order mark, the charset it declares, UTF-8, or statistics, in this order."""
    data = reading.path.read_bytes()
    for name in _candidates(data):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data.decode(guess(reading, data[error.start : error.start + (1 << 18)], error.start), errors="replace")


def _candidates(data: bytes) -> Iterator[str]:
    if data.startswith(codecs.BOM_UTF8):
        yield "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield "utf-16"
    if declared := _CHARSET.search(data[:4096]):
        yield declared[1].decode("ascii", errors="replace")


loader("html")(Format((".html", ".htm", ".xhtml"), load))
