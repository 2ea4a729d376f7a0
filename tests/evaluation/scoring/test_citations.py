from dataclasses import replace

import pytest

from agentrag.core.types import Citation, Passage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.scoring.citations import citation_scores
from agentrag.evaluation.scoring.citations import cited as documents
from agentrag.evaluation.statistics.intervals import Share
from tests.evaluation.scoring.samples import REFUSED, cited, failed, found, query, quoted, unanswerable, value

ANSWER = Answered("Gold [1].", found("d1", "d2"), citations=cited("corpus#d1"))


@pytest.mark.parametrize(
    ("citations", "precision", "recall"),
    [
        (cited("corpus#d1"), Share(1, 1), Share(1, 2)),
        (cited("corpus#d1", "corpus#d2"), Share(1, 2), Share(1, 2)),
        (cited("corpus#d1", "corpus#d1", "corpus#d3", "corpus#d9"), Share(3, 4), Share(2, 2)),
        (cited("corpus#d2"), Share(0, 1), Share(0, 2)),
        ((), Share(0, 0), Share(0, 2)),
    ],
    ids=["one", "one-wrong", "twice-the-same", "none-right", "none"],
)
def test_citations_are_counted_by_the_documents_they_name(
    citations: tuple[Citation, ...], precision: Share, recall: Share
) -> None:
    asked = query("q", relevant={"d1": 1, "d3": 2, "d2": 0, "d9": -1})
    answered = Answered("Gold.", found("d2", "d1"), citations=citations)
    scores = citation_scores([Outcome(asked, answered), Outcome(query("cites", (), {}), ANSWER)])
    assert scores["citation_precision"] == {"q": precision}
    assert scores["citation_recall"] == {"q": recall}


@pytest.mark.parametrize(
    ("passages", "source", "document"),
    [
        (found("d1"), "corpus#d1", "d1"),
        ((Passage("1", "", "elsewhere", record="d1"),), "elsewhere", "d1"),
        ((Passage("1", "", "a.txt"),), "a.txt", "a.txt"),
        ((Passage("1", "", "C#", record="C#"),), "C#", "C#"),
        (None, "/data/corpus.jsonl#d1", "d1"),
        ((), "corpus#a#d1", "d1"),
        ((), "d1", "d1"),
    ],
    ids=["record", "record-of-another-name", "no-record", "hash-in-an-id", "no-passages", "last-hash", "no-hash"],
)
def test_a_citation_names_the_record_of_its_source(passages: tuple[Passage, ...] | None, source: str, document: str) -> None:
    assert documents(Answered("x", passages, citations=cited(source))) == [document]


def test_quotes_are_searched_for_the_golden_answer() -> None:
    answered = Answered("Gold [1][2].", citations=quoted("All that is gold.", "Golden days.", "The GOLD!"))
    assert citation_scores([Outcome(query("q"), answered)])["citation_holds_answer"] == {"q": Share(2, 3)}


@pytest.mark.parametrize(
    ("answer", "citations", "unsupported", "share"),
    [
        ("It is gold [1]. It is old [?].", quoted("gold"), ("It is old.",), Share(1, 2)),
        ("It is gold [1]. It is old [2].", quoted("gold", "old"), (), Share(2, 2)),
        ("It is gold. It is old.", (), (), Share(0, 2)),
        ("Gold", quoted("gold"), ("Gold", "more than there is"), Share(0, 1)),
    ],
    ids=["half", "all", "nothing-cited", "too-many-unsupported"],
)
def test_the_support_of_an_answer_is_counted_in_sentences(
    answer: str, citations: tuple[Citation, ...], unsupported: tuple[str, ...], share: Share
) -> None:
    outcomes = [Outcome(query("q"), Answered(answer, citations=citations, unsupported=unsupported))]
    cites = Outcome(query("other"), ANSWER)
    assert citation_scores([*outcomes, cites])["answer_support"]["q"] == share


def test_what_never_cites_has_no_metrics_of_citations() -> None:
    assert citation_scores([Outcome(query("q"), Answered("Gold.", found("d1")))]) == {}
    assert citation_scores([]) == {}


def test_only_answered_questions_count_and_each_for_what_it_has_gold_of() -> None:
    outcomes = [
        Outcome(query("full"), ANSWER),
        Outcome(query("unjudged", relevant={}), ANSWER),
        Outcome(query("only-bad", relevant={"d1": 0}), ANSWER),
        Outcome(query("no-answers", answers=()), ANSWER),
        Outcome(query("refused"), replace(REFUSED, citations=cited("corpus#d1"))),
        Outcome(query("empty"), replace(ANSWER, answer=" [1]")),
        Outcome(unanswerable("hopeless"), ANSWER),
        failed(query("failed")),
    ]
    scores = citation_scores(outcomes)
    assert {name: list(shares) for name, shares in scores.items()} == {
        "citation_precision": ["full", "no-answers"],
        "citation_recall": ["full", "no-answers"],
        "citation_holds_answer": ["full", "unjudged", "only-bad"],
        "answer_support": ["full", "unjudged", "only-bad", "no-answers"],
    }
    assert value(scores["citation_precision"]) == 1.0
