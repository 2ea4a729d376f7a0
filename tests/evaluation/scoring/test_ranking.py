from math import log2

import pytest

from agentrag.core.types import Passage
from agentrag.evaluation.scoring.ranking import documents, ndcg, recall, sufficiency


def test_a_document_stands_at_the_rank_of_its_best_passage() -> None:
    found = [Passage("1", "a", "f#d1", record="d1"), Passage("2", "b", "notes.txt"), Passage("3", "c", "f#d1", record="d1")]
    assert documents(found) == ["d1", "notes.txt"]


def test_ndcg_counts_linear_gains_with_a_log_discount() -> None:
    relevant = {"q": {"a": 2, "b": 1}}
    ideal = 2 / log2(2) + 1 / log2(3)
    assert ndcg({"q": ["b", "x", "a"]}, relevant)["q"] == pytest.approx((1 / log2(2) + 2 / log2(4)) / ideal)
    assert ndcg({"q": ["a", "b"]}, relevant)["q"] == pytest.approx(1.0)


def test_only_the_first_k_ranks_count() -> None:
    ranking = [f"x{n}" for n in range(10)] + ["a"]
    assert ndcg({"q": ranking}, {"q": {"a": 1}}, 10) == {"q": 0.0}
    assert recall({"q": ["x", "a"]}, {"q": {"a": 1}}, 1) == {"q": 0.0}
    assert recall({"q": ["x", "a"]}, {"q": {"a": 1, "b": 1}}, 2) == {"q": 0.5}


def test_the_order_of_the_ranking_is_the_order_that_is_scored() -> None:
    names = [f"d{n}" for n in range(12)]
    for place, name in enumerate(names[:10]):
        assert ndcg({"q": names}, {"q": {name: 1}})["q"] == pytest.approx(1 / log2(place + 2))


@pytest.mark.parametrize(
    ("found", "enough"),
    [(["a", "x", "b"], 1.0), (["a", "x", "y", "b"], 0.0), ([], 0.0)],
    ids=["all", "one-too-low", "none"],
)
def test_retrieval_is_sufficient_when_all_that_is_relevant_is_in_the_first_k(found: list[str], enough: float) -> None:
    assert sufficiency({"q": found}, {"q": {"a": 1, "b": 2, "c": 0}}, 3) == {"q": enough}


def test_a_query_without_relevant_documents_is_left_out_and_one_without_a_ranking_scores_nothing() -> None:
    relevant = {"judged": {"a": 1}, "unjudged": {}, "only-bad": {"a": 0}}
    for measure in (ndcg, recall, sufficiency):
        assert measure({}, relevant) == {"judged": 0.0}
        assert measure({"unjudged": ["a"], "only-bad": ["a"], "judged": ["a"]}, relevant) == {"judged": 1.0}
