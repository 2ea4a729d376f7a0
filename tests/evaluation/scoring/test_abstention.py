from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.scoring.abstention import abstention_scores
from agentrag.evaluation.statistics.intervals import Share
from tests.evaluation.scoring.samples import REFUSED, failed, query, unanswerable, value

SAID = Answered("gold")
MIXED = [
    Outcome(query("right"), SAID),
    Outcome(query("shy"), REFUSED),
    Outcome(query("also-right"), SAID),
    Outcome(unanswerable("caught"), REFUSED),
    Outcome(unanswerable("also-caught"), REFUSED),
    Outcome(unanswerable("missed"), SAID),
    failed(query("broke")),
    failed(unanswerable("broke-too")),
]


def test_refusals_are_right_where_the_corpus_has_no_answer() -> None:
    scores = abstention_scores(MIXED)
    assert {name: value(shares) for name, shares in scores.items()} == {
        "abstention_precision": 2 / 3,
        "abstention_recall": 2 / 4,
        "wrongly_refused": 1 / 3,
    }
    assert scores["abstention_precision"]["shy"] == Share(0, 1)
    assert scores["abstention_precision"]["missed"] == Share(0, 0)
    assert scores["abstention_precision"]["broke-too"] == Share(0, 0)


def test_a_failed_question_was_not_refused_and_is_no_credit_either() -> None:
    scores = abstention_scores(MIXED)
    assert scores["abstention_recall"]["broke-too"] == Share(0, 1)
    assert "broke" not in scores["wrongly_refused"]


def test_without_unanswerable_questions_only_wrong_refusals_are_counted() -> None:
    assert abstention_scores([Outcome(query("a"), SAID), Outcome(query("b"), REFUSED)]) == {
        "wrongly_refused": {"a": Share(0), "b": Share(1)}
    }
    assert abstention_scores([Outcome(query("a"), SAID)]) == {"wrongly_refused": {"a": Share(0)}}


def test_with_unanswerable_questions_no_refusal_at_all_is_a_result() -> None:
    scores = abstention_scores([Outcome(query("a"), SAID), Outcome(unanswerable("u"), SAID)])
    assert scores["abstention_recall"] == {"u": Share(0)}
    assert scores["wrongly_refused"] == {"a": Share(0)}
