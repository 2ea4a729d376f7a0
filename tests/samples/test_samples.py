"""The sample documents are what their sources say, and answer the questions that ship with them."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import docx
import mammoth
import pypdfium2
import pytest
import trafilatura
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
PAGES = {"station-handbook.pdf": 5, "field-safety-manual.pdf": 4}
DOCUMENTS = sorted(path.name for path in SAMPLES.iterdir() if path.suffix in {".pdf", ".html", ".docx", ".md", ".txt"})
GENERATED = [name for name in DOCUMENTS if not name.endswith((".md", ".txt"))]
QUESTIONS: list[dict[str, Any]] = YAML(typ="safe").load(SAMPLES / "questions.yaml")
ANSWERED = [entry for entry in QUESTIONS if entry["answers"]]
UNANSWERED = [entry for entry in QUESTIONS if not entry["answers"]]


def one_line(text: str) -> str:
    return " ".join(text.split())


def pdf_pages(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    try:
        return [one_line(page.get_textpage().get_text_bounded()) for page in document]
    finally:
        document.close()


def docx_text(path: Path) -> str:
    with path.open("rb") as file:
        return re.sub("<[^>]+>", " ", mammoth.convert_to_html(file).value)


def extracted(name: str) -> str:
    """The text of a sample as the libraries for its format give it, on one line."""
    path = SAMPLES / name
    match path.suffix:
        case ".pdf":
            return " ".join(pdf_pages(path))
        case ".docx":
            return one_line(docx_text(path))
        case ".html":
            return one_line(trafilatura.extract(path.read_text(encoding="utf-8"), include_tables=True) or "")
        case _:
            return one_line(path.read_text(encoding="utf-8"))


def sections(name: str) -> dict[str, str]:
    """The written source of a sample, cut at its headings; a heading that occurs twice keeps both texts."""
    written = SAMPLES / name if name not in GENERATED else (ROOT / "tools" / "samples" / name).with_suffix(".md")
    heading = r"^(?=\d\. [A-Z]{2})" if name.endswith(".txt") else r"^#+ "
    found: dict[str, str] = {}
    for section in re.split(heading, written.read_text(encoding="utf-8"), flags=re.MULTILINE):
        title, _, text = section.partition("\n")
        found[title] = found.get(title, "") + one_line(text)
    return found


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {name: extracted(name) for name in DOCUMENTS}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    command = [sys.executable, "-m", "tools.build_samples", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", GENERATED)
def test_a_rebuild_gives_the_bytes_that_ship(name: str, rebuilt: Path) -> None:
    assert (rebuilt / name).read_bytes() == (SAMPLES / name).read_bytes(), "run: python -m tools.build_samples"


def test_the_corpus_mixes_formats_and_stays_small(texts: dict[str, str]) -> None:
    formats = [Path(name).suffix for name in DOCUMENTS]
    assert {kind: formats.count(kind) for kind in set(formats)} == {".pdf": 2, ".html": 2, ".docx": 2, ".md": 5, ".txt": 1}
    assert 8_000 <= sum(len(text.split()) for text in texts.values()) <= 12_000
    assert sum(path.stat().st_size for path in SAMPLES.iterdir() if path.is_file()) < 600_000


@pytest.mark.parametrize("name", PAGES)
def test_every_pdf_page_says_which_page_it_is(name: str) -> None:
    pages = pdf_pages(SAMPLES / name)
    assert len(pages) == PAGES[name]
    assert all(f"Page {number} of {PAGES[name]}" in text for number, text in enumerate(pages, 1))


@pytest.mark.parametrize("name", PAGES)
def test_every_pdf_bookmark_leads_to_the_page_with_its_heading(name: str) -> None:
    pages = pdf_pages(SAMPLES / name)
    document = pypdfium2.PdfDocument(SAMPLES / name)
    try:
        marks = [(mark.get_title(), mark.get_dest().get_index()) for mark in document.get_toc()]
    finally:
        document.close()
    assert len(marks) > 10
    assert [title for title, index in marks if title not in pages[index]] == []


@pytest.mark.parametrize("name", ["harbour-regulations.docx", "instrument-register.docx"])
def test_every_docx_opens_with_headings_a_table_and_a_list(name: str) -> None:
    document = docx.Document(str(SAMPLES / name))
    styles = {paragraph.style.name for paragraph in document.paragraphs if paragraph.style}
    assert {"Heading 1", "List Bullet", "List Number"} <= styles
    assert len(document.tables) >= 1


@pytest.mark.parametrize("name", ["harbour-regulations.docx", "instrument-register.docx"])
def test_every_part_that_a_docx_refers_to_is_in_it(name: str) -> None:
    with zipfile.ZipFile(SAMPLES / name) as archive:
        parts = set(archive.namelist())
        targets = re.findall(r'Target="([^"]+)"', archive.read("word/_rels/document.xml.rels").decode())
        kinds = re.findall(r'PartName="/([^"]+)"', archive.read("[Content_Types].xml").decode())
    assert {f"word/{target}" for target in targets} | set(kinds) <= parts


@pytest.mark.parametrize(
    ("name", "boilerplate"),
    [
        ("ferry-timetable.html", ["Log in", "newsletter", "cookies"]),
        ("visiting-faq.html", ["Council papers", "midsummer", "Cookie settings"]),
    ],
)
def test_the_boilerplate_of_a_web_page_is_in_the_file_but_not_in_its_text(
    name: str, boilerplate: list[str], texts: dict[str, str]
) -> None:
    page = (SAMPLES / name).read_text(encoding="utf-8")
    assert [words for words in boilerplate if words not in page] == []
    assert [words for words in boilerplate if words in texts[name]] == []


@pytest.mark.parametrize("entry", ANSWERED, ids=lambda entry: entry["question"])
def test_the_text_of_the_source_holds_the_answer_word_for_word(entry: dict[str, Any], texts: dict[str, str]) -> None:
    assert entry["answers"][0] in texts[entry["source"]]


@pytest.mark.parametrize("entry", ANSWERED, ids=lambda entry: entry["question"])
def test_the_section_under_the_heading_holds_the_answer(entry: dict[str, Any]) -> None:
    assert entry["answers"][0] in sections(entry["source"])[entry["heading"]]


@pytest.mark.parametrize("entry", [entry for entry in ANSWERED if "page" in entry], ids=lambda entry: entry["question"])
def test_the_page_of_a_question_holds_heading_and_answer(entry: dict[str, Any]) -> None:
    page = pdf_pages(SAMPLES / entry["source"])[entry["page"] - 1]
    assert entry["answers"][0] in page
    assert entry["heading"] in page


def test_every_document_answers_a_question_and_every_pdf_answer_names_its_page() -> None:
    assert {entry["source"] for entry in ANSWERED} == set(DOCUMENTS)
    assert [entry for entry in ANSWERED if entry["source"].endswith(".pdf") != ("page" in entry)] == []
    assert len(ANSWERED) >= 20


@pytest.mark.parametrize("entry", UNANSWERED, ids=lambda entry: entry["question"])
def test_no_document_holds_the_words_that_an_unanswerable_question_needs(entry: dict[str, Any], texts: dict[str, str]) -> None:
    words = re.compile("|".join(rf"\b{word}" for word in entry["absent"]), re.IGNORECASE)
    assert {name: words.findall(text) for name, text in texts.items() if words.search(text)} == {}


def test_five_questions_have_no_answer() -> None:
    assert len(UNANSWERED) == 5
    assert all(entry["absent"] and "source" not in entry for entry in UNANSWERED)
