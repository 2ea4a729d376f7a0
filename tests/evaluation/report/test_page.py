"""The page and its Markdown: what is in them, and that nothing in them can do anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from agentrag.evaluation.comparing.wording import markdown_of
from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.report.content import report_on
from agentrag.evaluation.report.markdown import escaped, markdown
from agentrag.evaluation.report.page import page
from agentrag.evaluation.report.tables import calibration_event
from tests.evaluation.report.samples import HOSTILE, made

SIGNALS = {"answerable": "relevant"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Read(HTMLParser):
    """The elements of a page, and whether they are nested as they should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def runs() -> list[Evaluation]:
    hostile = {"command": f"agentrag eval {HOSTILE}", "models": {"names": {"writer": HOSTILE}}}
    return [
        made("plain", 0.4, unanswerable=5, failures=1, signals=SIGNALS),
        made(f"other {HOSTILE}", 0.9, unanswerable=5, tokens=900, about=hostile),
    ]


@pytest.fixture(scope="module")
def html() -> str:
    return page(report_on(runs()))


def test_a_page_is_one_well_formed_document_that_loads_and_runs_nothing(html: str) -> None:
    read = Read(html)
    assert read.open == []
    assert html.lstrip().startswith("<!DOCTYPE html>")
    assert read.all("meta")[1] == {"http-equiv": "Content-Security-Policy", "content": POLICY}
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    links = [
        value for _, attributes in read.tags for name, value in attributes.items() if name in ("src", "href", "xlink:href")
    ]
    assert links
    assert all(value and value.startswith("#") for value in links)
    assert not re.search(r"(src|href)=[\"']?\s*(https?:|//)", html)
    assert "@import" not in html
    assert "url(" not in html


def test_links_lead_to_parts_of_the_page_and_ids_are_unique(html: str) -> None:
    read = Read(html)
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {(each["href"] or "")[1:] for each in read.all("a")} <= set(ids)
    assert {each["aria-labelledby"] for _, each in read.tags if "aria-labelledby" in each} <= set(ids)


def test_untrusted_text_is_shown_and_never_markup(html: str) -> None:
    assert "<script" not in html
    read = Read(html)
    assert HOSTILE in read.text  # the question in the table, the model, the command
    assert f"agentrag eval {HOSTILE}" in read.text
    assert f"q003: {HOSTILE}" in read.text  # in the title of a circle


def test_every_chart_says_what_it_shows_and_every_table_scrolls_in_its_own_box(html: str) -> None:
    read = Read(html)
    charts = [each for each in read.all("svg") if each["width"] != "14"]
    assert len(charts) >= 20
    assert all(each["role"] == "img" and each["aria-label"] for each in charts)
    boxes = [each for each in read.all("div") if each.get("class") == "scroll"]
    assert len(boxes) == len(read.all("table"))
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in boxes)


def test_headings_go_down_one_level_at_a_time(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Read(html).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_equal_evaluations_give_equal_bytes(html: str) -> None:
    assert page(report_on(runs())) == html
    assert markdown(report_on(runs())) == markdown(report_on(runs()))


def test_a_page_of_one_run_has_no_comparison_and_one_of_a_ranking_from_elsewhere_no_command() -> None:
    alone = Read(page(report_on([Evaluation("elsewhere", {"data": {"name": "rivers"}}, made("x", 0.5).outcomes)])))
    assert "Comparison" not in alone.text
    assert "Quality and cost" not in alone.text
    assert "No command is known" in alone.text
    assert "elsewhere on rivers" in alone.text


@pytest.mark.parametrize("evaluations", [[Evaluation("new", {}, ())], [made("a", 0.5, n=1), made("b", 0.5, n=1)]])
def test_little_makes_a_page_too(evaluations: list[Evaluation]) -> None:
    report = report_on(evaluations)
    assert Read(page(report)).open == []
    assert markdown(report).startswith("# ")


def test_markdown_has_the_tables_and_sentences_of_the_page(html: str) -> None:
    report = report_on(runs())
    text = markdown(report)
    assert report.comparison is not None
    assert markdown_of(report.comparison).rstrip("\n") in text
    shown = Read(html).text
    for group in report.groups:
        assert f"### {group.title}" in text
        for row in group.rows:
            value = row.values[0]
            assert value is not None
            assert row.unit.interval(value) in text
            assert row.unit.interval(value) in shown
    for calibration in report.calibrations:
        assert calibration.notes == () or calibration.notes[0] in text
        assert calibration_event(calibration) in text
        assert f"| {calibration.bins[0].n} | {calibration.bins[0].probability:.3f} |" in text
    assert "(best)" in text
    assert "- 1 question failed; they count as 0 in the metrics of answers and rankings." in text
    assert "| q000 | Which river is number 0? | Danube | (failed: the server went away) |" in text


def test_a_curve_of_few_questions_is_warned_of_before_its_numbers() -> None:
    report = report_on([made("gated", 0.6, n=20, signals=SIGNALS)])
    for text in (Read(page(report)).text, markdown(report)):
        places = [text.index(words) for words in ("The event that answerable", "Only 20 questions", "Expected calibration")]
        assert places == sorted(places)


def test_both_forms_tell_the_number_of_questions_of_a_metric() -> None:
    report = report_on(runs())
    html, text = page(report), markdown(report)
    assert '<td class="n">55</td>' in html
    assert "| em | 55 |" in text
    assert ", n 59</small>" in html
    assert re.search(r"\| latency \(s\) \|  \| [^|]*\| [^|]*, n 59 \|", text)
    for said in (Read(html).text, text):
        assert "n is the number of those questions, beside the interval where runs differ in it." in said


def test_markdown_shows_untrusted_text_as_it_is() -> None:
    text = markdown(report_on(runs()))
    assert escaped(HOSTILE) in text
    assert not re.search(r"(?<!\\)<script", text.replace(f"agentrag eval {HOSTILE}", ""))
    assert f"```bash\nagentrag eval {HOSTILE}\n```" in text
    fenced = markdown(report_on([made("x", 0.5, about={"command": "agentrag eval ````"})]))
    assert "`````bash\nagentrag eval ````\n`````" in fenced
