"""Write a sample document as DOCX with a fixed byte content."""

import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

from docx import Document
from docx.document import Document as DocumentObject
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.styles.style import BaseStyle

from tools.sample_formats.blocks import Block, Bullets, Heading, PageBreak, Paragraph, Source, Table

# The earliest time a zip archive can hold.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# Parts of python-docx's default template that no sample document refers to.
UNUSED_PARTS = ("thumbnail", "stylesWithEffects", "customXml")


def write_docx(source: Source, path: Path) -> None:
    """Write `source` to `path`: title, running head and foot, headings, lists, tables."""
    document = Document()
    _describe(document, source.header)
    document.add_paragraph(f"{source.header['title']}: {source.header['subtitle']}", style="Title")
    for block in source.blocks:
        _add(document, block)
    packed = BytesIO()
    _drop_unused(document)
    document.save(packed)
    path.write_bytes(_without_times(packed))


def _describe(document: DocumentObject, header: dict[str, str]) -> None:
    date = datetime.fromisoformat(header["date"])
    core = document.core_properties
    core.title = f"{header['title']}: {header['subtitle']}"
    core.author = core.last_modified_by = header["author"]
    core.created = core.modified = date
    core.comments = ""
    section = document.sections[0]
    section.header.paragraphs[0].text = core.title
    section.footer.paragraphs[0].text = f"{header['author']}, {header['date']}"


def _add(document: DocumentObject, block: Block) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(text, level)
        case Paragraph(text):
            document.add_paragraph(text)
        case Bullets(ordered, items):
            for item in items:
                document.add_paragraph(item, style="List Number" if ordered else "List Bullet")
        case Table(rows):
            table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
            table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
            for row, texts in zip(table.rows, rows, strict=True):
                for cell, text in zip(row.cells, texts, strict=True):
                    cell.text = text
        case PageBreak():
            document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)


def _drop_unused(document: DocumentObject) -> None:
    """Remove what the default template brings along: it is 800 kB when stored uncompressed."""
    for style in [style for style in document.styles if _is_spare(style)]:
        style.delete()
    for relations in (document.part.rels, document.part.package.rels):
        for key in [key for key, to in relations.items() if to.reltype.endswith(UNUSED_PARTS)]:
            del relations[key]


def _is_spare(style: BaseStyle) -> bool:
    return style.type == WD_STYLE_TYPE.TABLE and style.name not in ("Normal Table", "Table Grid")


def _without_times(packed: BytesIO) -> bytes:
    """Repack a zip archive uncompressed and undated, so that no clock, zlib or platform shows."""
    plain = BytesIO()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system = 3  # Unix, wherever this runs
            new.writestr(entry, old.read(name))
    return plain.getvalue()
