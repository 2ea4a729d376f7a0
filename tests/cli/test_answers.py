from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentrag.app import Graph, Result
from agentrag.cli import answers
from agentrag.cli.console import say_json
from agentrag.core.types import Citation
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages

LAMP = "The lamp of the lighthouse is red."


async def asked(*replies: str, style: str = "full") -> Result:
    deps = fake_deps(ScriptedModel(replies), passages(LAMP))
    return await Graph.load("ask").run(deps, question="What colour is the lamp?", style=style)


async def test_an_answer_shows_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    answers.print_answer(await asked("yes", LAMP))
    assert capsys.readouterr().out == (f'The lamp of the lighthouse is red [1].\n\nSources\n[1] {LAMP}  "{LAMP}"\n')


async def test_a_sentence_that_nothing_supports_is_marked_and_the_mark_explained(capsys: pytest.CaptureFixture[str]) -> None:
    answers.print_answer(await asked("yes", f"{LAMP} Penguins invented the telephone."))
    shown = capsys.readouterr()
    assert shown.out.startswith("The lamp of the lighthouse is red [1]. Penguins invented the telephone [?].\n")
    assert "[?] marks a sentence that no passage supports" in shown.err


async def test_a_question_the_documents_do_not_answer_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    answers.print_answer(await asked("no"))
    assert capsys.readouterr().out == "not in the documents\n"


async def test_a_search_that_finds_nothing_at_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    deps = fake_deps(ScriptedModel(["no"]))
    answers.print_answer(await Graph.load("ask").run(deps, question="What colour is the lamp?"))
    shown = capsys.readouterr()
    assert shown.out == "not in the documents\n"
    assert "agentrag collections list" in shown.err


async def test_json_has_the_answer_its_citations_the_cost_by_node_and_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    result = await asked("yes", LAMP)
    say_json(answers.as_json(result))
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["answer", "abstained", "citations", "usage", "run"]
    assert found["answer"] == "The lamp of the lighthouse is red [1]."
    assert found["abstained"] is False
    quote = {"n": 1, "source": LAMP, "page": None, "heading": "", "start": 0, "end": len(LAMP), "quote": LAMP}
    assert found["citations"] == [quote]
    assert found["usage"]["write"]["calls"] == 1
    assert found["run"] == result.run


async def test_json_says_that_the_documents_do_not_answer() -> None:
    found = answers.as_json(await asked("no"))
    assert (found["abstained"], found["citations"]) == (True, [])


async def test_the_short_style_has_no_marks() -> None:
    found = answers.as_json(await asked("yes", "red", style="short"))
    assert found["answer"] == "red"


def test_control_characters_of_documents_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    answers.print_sources([Citation(1, "evil\x1b[2J.pdf", 3, "Head\x07ing", 0, 4, "\x1b]0;owned\x07text [bold]")])
    assert capsys.readouterr().out == '\nSources\n[1] evil.pdf, page 3, Heading  "0;ownedtext [bold]"\n'


@pytest.mark.parametrize(
    ("source", "shown"),
    [("{here}/docs/a.pdf", "docs/a.pdf"), ("/elsewhere/a.pdf", "/elsewhere/a.pdf"), ("{here}-2/a.pdf", "{here}-2/a.pdf")],
    ids=["below", "elsewhere", "beside"],
)
def test_a_source_below_the_current_folder_is_shown_relative_to_it(source: str, shown: str) -> None:
    here = str(Path.cwd())
    citation = Citation(1, source.format(here=here), None, "", 0, 1, "x")
    assert answers.place(citation) == shown.format(here=here)


@pytest.mark.parametrize("length", [10, 159, 160, 161, 1000])
def test_a_long_quote_is_cut_at_a_word_within_160_characters(length: int) -> None:
    quote = ("word " * 300)[:length].strip()
    shown = answers.shortened(quote)
    assert len(shown) <= 160
    assert shown == quote or (shown.endswith("word ...") and quote.startswith(shown.removesuffix(" ...")))


def test_json_escapes_what_a_terminal_would_obey_and_stays_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"answer": "a\x9b31m\x7f\u202eb \x1b[31m é"}
    say_json(value)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert not any(sign in shown for sign in "\x9b\x7f\u202e\x1b")
    assert "é" in shown
