import gzip
import json
import math
from pathlib import Path

import pytest

from agentrag.app import Graph
from agentrag.core.errors import ModelError
from agentrag.core.types import ChatRequest, Citation, Completion, Passage, TokenLogprob, Usage
from agentrag.evaluation.asking.ask import Answered
from agentrag.evaluation.data.dataset import DataSet, Gold, Query, Question
from agentrag.testing.fakes import ScriptedModel, fake_deps
from benchmarks.squad import interview
from benchmarks.squad_scores import Asked, Reply, losses, rows
from benchmarks.squad_table import table

FIRST = Passage("1", "It is old. It begins in the Black Forest.", "corpus#p1", record="p1")
OTHER = Passage("2", "It is long.", "corpus#p2", record="p2")


def query(name: str) -> Query:
    return Query(Question(name, "Where does it begin?"), Gold(("Black Forest",)))


def cited(*quotes: str) -> tuple[Citation, ...]:
    return tuple(Citation(n, "corpus#p1", None, "", 0, len(quote), quote) for n, quote in enumerate(quotes, start=1))


def found() -> Reply:
    usage = {"write": Usage(calls=1, prompt_tokens=100, completion_tokens=10, seconds=2.0)}
    saved = {"judge": Usage(calls=1, prompt_tokens=50, completion_tokens=1, seconds=1.0)}
    answered = Answered(
        answer="In the Black Forest [1]. It is old [2].",
        passages=(FIRST, OTHER),
        citations=cited("It begins in the Black Forest.", "It is old."),
        usage=usage,
        saved=saved,
    )
    return Reply(answered, evidence=(FIRST,), nearest="It begins in the Black Forest.")


REFUSED = Reply(Answered("not in the documents", (FIRST, OTHER), abstained=True), evidence=(FIRST,))
WRONG = Reply(Answered("It is long [?].", (OTHER,), unsupported=("It is long.",)), evidence=(OTHER,), nearest="It is long.")
ASKED = Asked(
    answerable=[query("a"), query("b"), query("c"), query("d")],
    unanswerable=[query("u"), query("v")],
    full={"a": found(), "b": REFUSED, "c": WRONG, "u": REFUSED, "v": WRONG},
    short={"a": Reply(Answered("the Black Forest"))},
    failed={"d": "the server hung up"},
)


def test_every_number_is_counted_over_what_it_says() -> None:
    values = {row.measure: (row.value.mean, row.over) for row in rows(ASKED)}
    assert values == {
        "EM, style=short": (0.25, "4 questions"),
        "F1, style=short": (0.25, "4 questions"),
        "golden answer contained, default style": (0.25, "4 questions"),
        "citation precision (the quote holds the golden answer)": (0.5, "2 citations"),
        "always cite rank 1, the whole passage": (0.5, "2 answered questions"),
        "always cite rank 1, its nearest sentence": (0.5, "2 answered questions"),
        "answer sentences with a verified citation": (pytest.approx(2 / 3), "3 sentences"),
        "unanswerable questions refused": (0.5, "2 questions"),
        "answerable questions wrongly refused": (0.25, "4 questions"),
        "seconds of calls a question, default style": (0.75, "4 questions"),
        "prompt tokens a question, default style": (37.5, "4 questions"),
        "generated tokens a question, default style": (2.75, "4 questions"),
        "seconds of calls a question, style=short": (0.0, "4 questions"),
        "prompt tokens a question, style=short": (0.0, "4 questions"),
        "generated tokens a question, style=short": (0.0, "4 questions"),
    }


def test_the_table_says_where_answers_are_lost_and_what_failed() -> None:
    assert [count for _, count in losses(ASKED)] == [2, 2, 1, 1]
    text = table(ASKED, "make it", "report", 1216, {"model": "m", "embedder": "e"})
    assert text == table(ASKED, "make it", "report", 1216, {"model": "m", "embedder": "e"})
    assert "| EM, style=short | 0.25 | 0.00 to 0.75 | 4 questions |" in text
    assert "1,216 passages" in text
    assert "| in the retrieved passages | 2 of 4 |" in text
    assert "Failed: `d`: the server hung up" in text
    assert "model: `m`; embedder: `e`; versions: agentrag " in text


def test_replies_of_which_all_refuse_leave_out_the_rows_of_citations() -> None:
    refused = Asked([query("b")], [], {"b": REFUSED}, {"b": REFUSED})
    assert not any("cit" in row.measure for row in rows(refused))


def reply_to(request: ChatRequest) -> str | Completion | Exception:
    """A model that finds rivers begin in the Black Forest, and cannot be asked about mountains."""
    asked = request.messages[-1].content
    if "mountain of the Alps?" in asked:
        return ModelError("the server hung up")
    if request.logprobs:
        yes = -0.01 if "Danube begin?" in asked else -9.0
        return Completion("Yes", tokens=(TokenLogprob("Yes", yes, (("Yes", yes), ("No", math.log1p(-math.exp(yes))))),))
    return "Black Forest" if request.max_tokens <= 32 else "The Danube begins in the Black Forest."


async def test_the_shipped_graph_is_asked_in_both_styles_and_refusals_and_failures_are_kept(rivers: Path) -> None:
    lines = (gzip.decompress((rivers / "corpus.jsonl.gz").read_bytes())).decode().splitlines()
    rows_ = [json.loads(line) for line in lines]
    found = [Passage(row["id"], row["text"], row["id"], end=len(row["text"]), record=row["id"]) for row in rows_]
    data = DataSet(rivers)
    deps = fake_deps(model=ScriptedModel(reply_to), collection=found)
    asked = await interview(Graph.load("ask"), deps, list(data.queries()), list(data.unanswerable()))
    assert asked.short["q1"].text == "Black Forest"
    assert asked.full["q1"].text == "The Danube begins in the Black Forest."
    assert [citation.source for citation in asked.full["q1"].answered.citations] == ["p1"]
    assert asked.full["q1"].nearest in found[0].text
    assert asked.full["q2"].answered.abstained
    assert asked.full["u1"].answered.abstained
    assert "the server hung up" in asked.failed["q3"]
    assert table(asked, "make it", "report", 3, {})
