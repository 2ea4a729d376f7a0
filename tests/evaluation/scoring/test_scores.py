import pytest

from agentrag.core.types import Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.scoring.scores import plain, score, summarise


def query(name: str, answers: tuple[str, ...] = ("gold",), relevant: dict[str, int] | None = None) -> Query:
    return Query(Question(name, "?"), Gold(answers, relevant if relevant is not None else {"d1": 1}))


def found(*records: str) -> tuple[Passage, ...]:
    return tuple(Passage(str(n), "text", f"corpus#{record}", record=record) for n, record in enumerate(records))


def test_what_answers_and_retrieves_has_all_metrics() -> None:
    outcomes = [
        Outcome(query("q1"), Answered("Gold [1].", found("d1"))),
        Outcome(query("q2"), Answered("all that is gold", found("d2", "d1"))),
    ]
    assert score(outcomes) == {
        "em": {"q1": 1.0, "q2": 0.0},
        "f1": {"q1": 1.0, "q2": pytest.approx(0.4)},
        "contains": {"q1": 1.0, "q2": 1.0},
        "ndcg@10": {"q1": 1.0, "q2": pytest.approx(0.6309, abs=1e-4)},
        "recall@5": {"q1": 1.0, "q2": 1.0},
        "sufficiency@5": {"q1": 1.0, "q2": 1.0},
    }


def test_what_only_retrieves_has_no_answer_metrics_and_what_only_answers_no_ranking() -> None:
    assert set(score([Outcome(query("q"), Answered(passages=found("d1")))])) == {"ndcg@10", "recall@5", "sufficiency@5"}
    assert set(score([Outcome(query("q"), Answered(answer="gold"))])) == {"em", "f1", "contains"}


def test_questions_without_gold_of_a_kind_do_not_count_for_it() -> None:
    unlabelled = query("q", (), {})
    assert score([Outcome(unlabelled, Answered("gold", found("d1")))]) == {}
    judged = score([Outcome(unlabelled, Answered("gold", found("d1"))), Outcome(query("r"), Answered("gold", found("d1")))])
    assert all(set(values) == {"r"} for values in judged.values())


def test_a_failed_question_counts_as_nothing_in_every_metric_and_is_listed() -> None:
    outcomes = [Outcome(query("q1"), Answered("gold", found("d1"))), Outcome(query("q2"), None, error="it broke")]
    summary = summarise(outcomes)
    assert summary.n == 2
    assert summary.failed == {"q2": "it broke"}
    assert {name: value.mean for name, value in summary.metrics.items()} == dict.fromkeys(score(outcomes), 0.5)
    assert len(summary.metrics) == 6


def test_a_refusal_scores_nothing_even_where_its_words_are_in_a_golden_answer() -> None:
    scores = score([Outcome(query("q", ("documents",)), Answered("not in the documents", abstained=True))])
    assert scores == {"em": {"q": 0.0}, "f1": {"q": 0.0}, "contains": {"q": 0.0}}


def test_usage_adds_up_node_by_node() -> None:
    first = Answered("gold", usage={"write": Usage(calls=1, prompt_tokens=5), "search": Usage(calls=1)})
    second = Answered("gold", usage={"write": Usage(calls=2, prompt_tokens=7)})
    summary = summarise([Outcome(query("q1"), first), Outcome(query("q2"), second)])
    assert summary.usage == {"write": Usage(calls=3, prompt_tokens=12), "search": Usage(calls=1)}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("It is so [1].", "It is so."),
        ("So [1][2], and [3, 4] so.", "So, and so."),
        ("[sic] a [b1]", "[sic] a [b1]"),
        ("So it [?]. Or [1][?]?", "So it. Or?"),
        (None, ""),
    ],
)
def test_citation_marks_are_no_part_of_an_answer(answer: str | None, text: str) -> None:
    assert plain(answer) == text


def test_the_number_of_a_citation_is_not_mistaken_for_a_golden_answer() -> None:
    assert score([Outcome(query("q", ("1",)), Answered("There are many [1]."))])["contains"] == {"q": 0.0}
