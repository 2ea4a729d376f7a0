"""Build the PDF, HTML and DOCX sample documents from their Markdown sources.

The Markdown and text documents are written by hand in `samples/`; these six have a source in
`tools/samples/`. The same source and library versions give the same bytes.

Run: python -m tools.build_samples [--out FOLDER]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from tools.sample_formats.blocks import Source, read_source
from tools.sample_formats.docx import write_docx
from tools.sample_formats.html import write_html
from tools.sample_formats.pdf import write_pdf

TOOLS = Path(__file__).resolve().parent
DOCUMENTS: dict[str, Callable[[Source, Path], None]] = {
    "ferry-timetable.html": write_html,
    "field-safety-manual.pdf": write_pdf,
    "harbour-regulations.docx": write_docx,
    "instrument-register.docx": write_docx,
    "station-handbook.pdf": write_pdf,
    "visiting-faq.html": write_html,
}


def build(folder: Path) -> list[Path]:
    """Write every generated document into `folder`, made if missing, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in DOCUMENTS.items():
        write(read_source((TOOLS / "samples" / name).with_suffix(".md")), folder / name)
    return [folder / name for name in DOCUMENTS]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the generated sample documents.")
    parser.add_argument("--out", type=Path, default=TOOLS.parent / "samples", help="folder to write to")
    for path in build(parser.parse_args().out):
        print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
