import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agentrag.core.errors import DataSetError
from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.scoring.metrics import DEFAULT, Scores, in_order
from agentrag.evaluation.scoring.scores import score, summarise
from agentrag.evaluation.statistics.intervals import Share, share
from tests.evaluation.scoring.samples import REFUSED, cited, failed, found, query, unanswerable

ANSWERS = {"em", "f1", "contains", "rouge_l"}
ANSWERING = ANSWERS | {"wrongly_refused"}
COSTS = {"calls", "tokens", "usd", "seconds"}


def parts(scores: Scores) -> dict[str, dict[str, float]]:
    """Scores of plain metrics without their wholes, which are all 1."""
    assert {each.whole for shares in scores.values() for each in shares.values()} <= {1.0}
    return {name: {id_: each.part for id_, each in shares.items()} for name, shares in scores.items()}


def test_what_answers_and_retrieves_has_the_metrics_of_both() -> None:
    outcomes = [
        Outcome(query("q1"), Answered("Gold [1].", found("d1"))),
        Outcome(query("q2"), Answered("all that is gold", found("d2", "d1"))),
    ]
    assert parts(score(outcomes)) == {
        "em": {"q1": 1.0, "q2": 0.0},
        "f1": {"q1": 1.0, "q2": pytest.approx(0.4)},
        "contains": {"q1": 1.0, "q2": 1.0},
        "rouge_l": {"q1": 1.0, "q2": pytest.approx(0.4)},
        "ndcg@10": {"q1": 1.0, "q2": pytest.approx(0.6309, abs=1e-4)},
        "recall@5": {"q1": 1.0, "q2": 1.0},
        "recall@10": {"q1": 1.0, "q2": 1.0},
        "mrr@10": {"q1": 1.0, "q2": 0.5},
        "map": {"q1": 1.0, "q2": 0.5},
        "success@5": {"q1": 1.0, "q2": 1.0},
        "sufficiency@5": {"q1": 1.0, "q2": 1.0},
        "wrongly_refused": {"q1": 0.0, "q2": 0.0},
    }


def test_what_only_retrieves_has_no_answer_metrics_and_what_only_answers_no_ranking() -> None:
    assert list(score([Outcome(query("q"), Answered(passages=found("d1")))])) == list(DEFAULT)
    assert set(score([Outcome(query("q"), Answered(answer="gold"))])) == ANSWERING
    assert set(score([Outcome(query("q"), Answered(passages=found("d1"))), Outcome(unanswerable("u"), Answered())])) == set(
        DEFAULT
    )


def test_the_metrics_of_rankings_are_those_that_are_asked_for() -> None:
    outcomes = [Outcome(query("q"), Answered(passages=found("d2", "d1")))]
    assert parts(score(outcomes, ["mrr@1", "recall@2"])) == {"mrr@1": {"q": 0.0}, "recall@2": {"q": 1.0}}
    assert score(outcomes, ()) == {}
    for asked in (outcomes, []):
        with pytest.raises(DataSetError, match="Unknown metric of rankings 'recal@5'"):
            score(asked, ["recal@5"])


def test_metrics_stand_in_the_order_of_tables_and_questions_in_that_of_the_outcomes() -> None:
    usage = {"write": Usage(calls=1)}
    answer = Answered("gold [1]", found("d1"), citations=cited("corpus#d1", quote="gold"), usage=usage, first_token=0.1)
    names = [f"q{n}" for n in (3, 1, 2)]
    outcomes = [Outcome(query(name, ("yes",)), replace(answer), seconds=1.0) for name in names]
    scores = score([*outcomes, Outcome(unanswerable("u"), REFUSED, seconds=0.5)])
    assert list(scores) == in_order(DEFAULT)
    assert list(scores["em"]) == list(scores["map"]) == list(scores["citation_recall"]) == names
    assert list(scores["latency"]) == [*names, "u"]


def test_questions_without_gold_of_a_kind_do_not_count_for_it() -> None:
    unlabelled = Outcome(query("q", (), {}), Answered("gold", found("d1")))
    assert parts(score([unlabelled])) == {"wrongly_refused": {"q": 0.0}}
    judged = score([unlabelled, Outcome(query("r"), Answered("gold", found("d1")))])
    assert all(set(values) == {"r"} for name, values in judged.items() if name != "wrongly_refused")
    assert judged.keys() == ANSWERING | set(DEFAULT)


def test_questions_with_labels_for_answers_alone_have_the_accuracy_of_the_label() -> None:
    outcomes = [
        Outcome(query("right", ("yes",)), Answered("Yes, it is gold.")),
        Outcome(query("wrong", ("no",)), Answered("Yes, it is gold.")),
        Outcome(query("refused", ("maybe",)), REFUSED),
        failed(query("failed", ("yes",))),
        Outcome(query("other"), Answered("Yes, it is gold.")),
    ]
    assert parts(score(outcomes))["yes_no"] == {"right": 1.0, "wrong": 0.0, "refused": 0.0, "failed": 0.0}


def test_a_failed_question_counts_as_nothing_for_answers_and_rankings_and_is_listed() -> None:
    outcomes = [Outcome(query("q1"), Answered("gold", found("d1"))), failed(query("q2"))]
    summary = summarise(outcomes, score(outcomes))
    assert summary.n == 2
    assert summary.failed == {"q2": "it broke"}
    means = {name: value.mean for name, value in summary.metrics.items()}
    assert means == dict.fromkeys(ANSWERS | set(DEFAULT), 0.5) | {"wrongly_refused": 0.0}


def test_a_refusal_scores_nothing_even_where_its_words_are_in_a_golden_answer() -> None:
    scores = score([Outcome(query("q", ("documents",)), REFUSED)])
    assert parts(scores) == {name: {"q": 0.0} for name in ANSWERS} | {"wrongly_refused": {"q": 1.0}}


def test_unanswerable_questions_are_in_the_metrics_of_refusals_and_costs_only() -> None:
    usage: Mapping[str, Any] = {"write": Usage(calls=1)}
    scores = score(
        [
            Outcome(query("q"), Answered("gold", found("d1"), usage=usage)),
            Outcome(unanswerable("u"), replace(REFUSED, passages=found("d1"), usage=usage)),
            Outcome(replace(query("v"), gold=replace(query("v").gold, answerable=False)), Answered("gold", found("d1"))),
        ]
    )
    assert {name for name, shares in scores.items() if shares.keys() & {"u", "v"}} == COSTS | {
        "abstention_precision",
        "abstention_recall",
    }
    assert scores["abstention_precision"] == {"q": Share(0, 0), "u": Share(1, 1), "v": Share(0, 0)}


def test_a_share_of_nothing_is_left_out() -> None:
    outcomes = [Outcome(query("q"), Answered("gold [?]", unsupported=("gold",))), Outcome(unanswerable("u"), Answered("gold"))]
    scores = score(outcomes)
    assert {"citation_precision", "citation_holds_answer", "abstention_precision"}.isdisjoint(scores)
    assert (scores["citation_recall"], scores["abstention_recall"]) == ({"q": Share(0, 1)}, {"u": Share(0, 1)})


def test_a_metric_of_several_things_a_question_is_a_share_of_all_of_them() -> None:
    outcomes = [
        Outcome(query("q1"), Answered("gold", found("d1"), citations=cited("corpus#d1", "corpus#d1", "corpus#d1"))),
        Outcome(query("q2"), Answered("gold", found("d2"), citations=cited("corpus#d2"))),
    ]
    summary = summarise(outcomes, score(outcomes), seed=1)
    assert summary.metrics["citation_precision"] == share([3, 0], [3, 1], seed=1)
    assert summary.metrics["citation_precision"].mean == 0.75


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_told_with_its_metric_and_question(number: float) -> None:
    outcomes = [
        Outcome(query("q1"), Answered("gold", usage={"write": Usage(usd=1.0)})),
        Outcome(query("q2"), Answered("gold", usage={"write": Usage(usd=number)})),
    ]
    with pytest.raises(DataSetError, match=f"usd of question 'q2' is not a finite number: {number}"):
        score(outcomes)


def test_usage_adds_up_node_by_node() -> None:
    first = Answered("gold", usage={"write": Usage(calls=1, prompt_tokens=5), "search": Usage(calls=1)})
    second = Answered("gold", usage={"write": Usage(calls=2, prompt_tokens=7)})
    outcomes = [Outcome(query("q1"), first), Outcome(query("q2"), second)]
    summary = summarise(outcomes, score(outcomes))
    assert summary.usage == {"write": Usage(calls=3, prompt_tokens=12), "search": Usage(calls=1)}
    assert summary.metrics["calls"].mean == 2.0


def test_the_number_of_a_citation_is_not_mistaken_for_a_golden_answer() -> None:
    asked = Outcome(query("q", ("1",)), Answered("There are many [1].", found("d1")))
    assert parts(score([asked]))["contains"] == {"q": 0.0}


def test_a_number_in_brackets_that_names_no_passage_is_a_word_of_the_answer() -> None:
    asked = Outcome(query("q", ("42",)), Answered("The answer is [42] [1].", found("d1")))
    assert parts(score([asked]))["contains"] == {"q": 1.0}


def test_no_outcomes_have_no_scores() -> None:
    assert score([]) == {}
    assert summarise([], score([])).metrics == {}
