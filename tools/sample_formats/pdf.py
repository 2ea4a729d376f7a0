"""Write a sample document as PDF with page numbers, bookmarks and a fixed byte content."""

from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    ListFlowable,
    PageTemplate,
    Spacer,
)
from reportlab.platypus import PageBreak as NewPage
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import Table as Grid

from tools.sample_formats.blocks import Block, Bullets, Heading, PageBreak, Paragraph, Source, Table

MARGIN = 25 * mm
BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=15.5, spaceAfter=7)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=9.8, leading=12.4, spaceAfter=0)
HEADINGS = {
    1: ParagraphStyle("h1", parent=BODY, fontName="Helvetica-Bold", fontSize=17, leading=22, spaceBefore=8, keepWithNext=1),
    2: ParagraphStyle("h2", parent=BODY, fontName="Helvetica-Bold", fontSize=12.5, leading=16, spaceBefore=5, keepWithNext=1),
}
GRID = [
    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def write_pdf(source: Source, path: Path) -> None:
    """Write `source` to `path`: A4 pages, running head, `Page n of N` at the foot.

    Streams stay uncompressed because the output of zlib differs between its builds.

    Raises:
        ValueError: the text fills another number of pages than the header's `pages`.
    """
    template = BaseDocTemplate(
        str(path),
        pagesize=A4,
        title=f"{source.header['title']}: {source.header['subtitle']}",
        author=source.header["author"],
        pageCompression=0,
        invariant=1,
    )
    # The hook that reportlab offers to subclasses; it is untyped, so a subclass would be unchecked.
    template.afterFlowable = partial(_bookmark, template)
    frame = Frame(MARGIN, MARGIN, A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN, 0, 0, 0, 0)
    template.addPageTemplates(PageTemplate(frames=[frame], onPage=partial(_furniture, source.header)))
    template.build([part for block in source.blocks for part in _flowables(block)])
    if template.page != int(source.header["pages"]):
        raise ValueError(f"{path.name}: header says {source.header['pages']} pages, text fills {template.page}")


def _bookmark(template: BaseDocTemplate, placed: Flowable) -> None:
    if isinstance(placed, Text) and placed.style.name in ("h1", "h2"):
        title = placed.getPlainText()
        template.canv.bookmarkPage(title)
        template.canv.addOutlineEntry(title, title, level=int(placed.style.name[1]) - 1)


def _furniture(header: dict[str, str], canvas: Canvas, template: BaseDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(MARGIN, A4[1] - 12 * mm, header["title"])
    canvas.drawRightString(A4[0] - MARGIN, A4[1] - 12 * mm, header["subtitle"])
    canvas.drawString(MARGIN, 11 * mm, header["author"])
    canvas.drawRightString(A4[0] - MARGIN, 11 * mm, f"Page {template.page} of {header['pages']}")


def _flowables(block: Block) -> list[Flowable]:
    match block:
        case Heading(level, text):
            return [Text(escape(text), HEADINGS[level])]
        case Paragraph(text):
            return [Text(_inline(text), BODY)]
        case Bullets(ordered, items):
            kind = {"bulletType": "1", "bulletFormat": "%s."} if ordered else {"bulletType": "bullet"}
            return [ListFlowable([Text(_inline(item), BODY) for item in items], bulletFontSize=11, **kind)]
        case Table(rows):
            cells = [[Text(_inline(cell), CELL) for cell in row] for row in rows]
            return [Grid(cells, style=GRID, repeatRows=1), Spacer(1, 7)]
        case PageBreak():
            return [NewPage()]


def _inline(text: str) -> str:
    # A Markdown line break inside a paragraph is only a space.
    return escape(" ".join(text.split()))
