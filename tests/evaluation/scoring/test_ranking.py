import os
from collections.abc import Mapping
from math import log2
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytrec_eval import RelevanceEvaluator

from agentrag.core.errors import DataSetError
from agentrag.core.types import Passage
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.scoring.ranking import Judgements, Measure, Rankings, documents, parse, rank_scores
from agentrag.retrieval.lexical import Bm25Index

SAME = {
    "ndcg@10": "ndcg_cut_10",
    "ndcg@3": "ndcg_cut_3",
    "recall@5": "recall_5",
    "recall@100": "recall_100",
    "map": "map",
    "map@10": "map_cut_10",
    "success@5": "success_5",
    "success@1": "success_1",
    "mrr@100": "recip_rank",
}
"""Our names, of which each is a measure of trec_eval's for rankings of at most 100 documents."""


def of_one(name: str, ranking: list[str], relevant: dict[str, int]) -> float:
    return rank_scores({"q": ranking}, {"q": relevant}, [name])[name]["q"]


def test_a_document_stands_at_the_rank_of_its_best_passage() -> None:
    found = [Passage("1", "a", "f#d1", record="d1"), Passage("2", "b", "notes.txt"), Passage("3", "c", "f#d1", record="d1")]
    assert documents(found) == ["d1", "notes.txt"]


@pytest.mark.parametrize(
    ("name", "ranking", "relevant", "value"),
    [
        ("ndcg@10", "bxa", {"a": 2, "b": 1}, (1 / log2(2) + 2 / log2(4)) / (2 / log2(2) + 1 / log2(3))),
        ("ndcg@10", "ab", {"a": 2, "b": 1}, 1.0),
        ("ndcg@2", "xya", {"a": 1}, 0.0),
        ("recall@1", "xa", {"a": 1}, 0.0),
        ("recall@2", "xa", {"a": 1, "b": 1}, 0.5),
        ("mrr@3", "xya", {"a": 1, "y": 0}, 1 / 3),
        ("mrr@2", "xya", {"a": 1}, 0.0),
        ("mrr@1", "axb", {"a": 1, "b": 3}, 1.0),
        ("mrr@999999", "xa", {"a": 1}, 0.5),
        ("map", "axb", {"a": 1, "b": 1, "c": 1}, (1 + 2 / 3) / 3),
        ("map@2", "axb", {"a": 1, "b": 1}, 1 / 2),
        ("success@2", "xab", {"a": 1, "b": 1}, 1.0),
        ("success@1", "xab", {"a": 1, "b": 1}, 0.0),
        ("sufficiency@3", "axb", {"a": 1, "b": 2, "c": 0}, 1.0),
        ("sufficiency@3", "axyb", {"a": 1, "b": 2}, 0.0),
        ("sufficiency@3", "abcd", {"a": 1, "b": 1, "c": 1, "d": 1}, 0.0),
    ],
)
def test_a_ranking_is_worth_what_a_hand_computes(name: str, ranking: str, relevant: dict[str, int], value: float) -> None:
    assert of_one(name, list(ranking), relevant) == pytest.approx(value, abs=1e-9)


def test_a_rank_just_inside_the_cut_counts_and_one_just_outside_does_not() -> None:
    names = [f"d{n}" for n in range(1100)]
    for k in (1, 3, 7, 10, 49, 100, 999, 1000):
        found = rank_scores({"in": names, "out": names}, {"in": {f"d{k - 1}": 1}, "out": {f"d{k}": 1}}, [f"mrr@{k}"])
        assert found[f"mrr@{k}"] == {"in": pytest.approx(1 / k), "out": 0.0}


def test_the_order_of_the_ranking_is_the_order_that_is_scored() -> None:
    names = [f"d{n}" for n in range(12)]
    for place, name in enumerate(names[:10]):
        assert of_one("ndcg@10", names, {name: 1}) == pytest.approx(1 / log2(place + 2))


@pytest.mark.parametrize("name", ["ndcg@5", "recall@5", "mrr@5", "map", "map@5", "success@5", "sufficiency@5"])
def test_a_query_without_relevant_documents_is_left_out_and_one_without_a_ranking_scores_nothing(name: str) -> None:
    relevant = {"judged": {"a": 1}, "unjudged": {}, "only-bad": {"a": 0, "b": -1}, "empty": {"a": 1}}
    found = rank_scores({"unjudged": ["a"], "only-bad": ["a"], "empty": [], "judged": ["a"], "other": ["a"]}, relevant, [name])
    assert found == {name: {"judged": 1.0, "empty": 0.0}}
    assert rank_scores({}, relevant, [name]) == {name: {"judged": 0.0, "empty": 0.0}}
    assert rank_scores({"unjudged": ["a"]}, {"unjudged": {}}, [name]) == {name: {}}


def test_a_negative_judgement_is_no_relevance_and_takes_nothing_away() -> None:
    names = [*SAME, "sufficiency@5"]
    ranking = ["bad", "good", "worse", "fine"]
    clamped = rank_scores({"q": ranking}, {"q": {"good": 2, "fine": 1, "bad": 0}}, names)
    assert rank_scores({"q": ranking}, {"q": {"good": 2, "fine": 1, "bad": -2, "worse": -1, "absent": -3}}, names) == clamped
    assert clamped["mrr@100"] == {"q": 0.5}
    assert clamped["sufficiency@5"] == {"q": 1.0}
    assert clamped["ndcg@10"]["q"] == pytest.approx((2 / log2(3) + 1 / log2(5)) / (2 + 1 / log2(3)))


def test_values_stand_in_the_order_of_names_and_judgements_and_a_name_counts_once() -> None:
    relevant = {name: {"a": 1} for name in ("z", "m", "a")}
    found = rank_scores({"a": ["a"], "z": ["a"]}, relevant, ["map", "recall@5", "map", "sufficiency@5"])
    assert list(found) == ["map", "recall@5", "sufficiency@5"]
    assert all(list(values.items()) == [("z", 1.0), ("m", 0.0), ("a", 1.0)] for values in found.values())


def test_a_ranking_with_a_document_twice_is_refused() -> None:
    with pytest.raises(DataSetError, match="ranking of question 'q' has a document twice"):
        of_one("map", ["a", "b", "a"], {"a": 1})


@pytest.mark.parametrize(
    ("name", "measure"),
    [("ndcg@10", Measure("ndcg", 10)), ("map", Measure("map", None)), ("mrr@999999", Measure("mrr", 999_999))],
)
def test_a_name_is_read(name: str, measure: Measure) -> None:
    assert parse(name) == measure


@pytest.mark.parametrize(
    "name", ["", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@05", "ndcg@1.5", "ndcg@1000000", "nDCG@10", "ncdg@10", "@5", "em"]
)
def test_an_unknown_name_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(DataSetError, match=r"Known: map, map@k, mrr@k, ndcg@k, .* k is a whole number, 1 or more"):
        rank_scores({}, {}, [name])


def test_a_misspelt_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(DataSetError, match=r"Unknown metric of rankings 'recal@5'\. Did you mean 'recall@k'\?"):
        parse("recal@5")


def straight(run: dict[str, dict[str, float]], judged: Judgements) -> Mapping[str, Mapping[str, float]]:
    """What trec_eval says without anything of ours."""
    clamped = {query: {document: max(0, score) for document, score in scores.items()} for query, scores in judged.items()}
    found: Mapping[str, Mapping[str, float]] = RelevanceEvaluator(clamped, set(SAME.values())).evaluate(run)
    return found


def agree(rankings: Rankings, run: dict[str, dict[str, float]], judged: Judgements) -> None:
    ours, theirs = rank_scores(rankings, judged, [*SAME, "mrr@3", "sufficiency@5"]), straight(run, judged)
    relevant = {query: {document for document, score in scores.items() if score > 0} for query, scores in judged.items()}
    for query in filter(relevant.__getitem__, relevant):
        for name, theirs_name in SAME.items():
            assert ours[name][query] == pytest.approx(theirs[query][theirs_name], abs=1e-6), (name, query)
        ranks = [rank for rank, document in enumerate(rankings[query], 1) if document in relevant[query]]
        assert ours["mrr@3"][query] == pytest.approx(1 / ranks[0] if ranks and ranks[0] <= 3 else 0.0)
        assert ours["sufficiency@5"][query] == float(relevant[query] <= set(rankings[query][:5]))
    assert all(values.keys() == {query for query, golden in relevant.items() if golden} for values in ours.values())


DOCUMENTS = st.sampled_from([f"d{n}" for n in range(30)])
SCORED = st.dictionaries(DOCUMENTS, st.integers(0, 6).map(float), max_size=30)
JUDGED = st.dictionaries(DOCUMENTS, st.integers(-2, 3), max_size=15)


@given(st.lists(st.tuples(SCORED, JUDGED), min_size=1, max_size=5))
def test_generated_rankings_are_scored_as_by_trec_eval(queries: list[tuple[dict[str, float], dict[str, int]]]) -> None:
    """Scores with ties: trec_eval puts the larger id first, and so does the ranking that we are given."""
    run = {f"q{n}": scores for n, (scores, _) in enumerate(queries)}
    judged = {f"q{n}": relevant for n, (_, relevant) in enumerate(queries)}
    rankings = {query: sorted(scores, key=lambda name: (scores[name], name), reverse=True) for query, scores in run.items()}
    agree(rankings, run, judged)


def test_a_run_on_real_graded_judgements_is_scored_as_by_trec_eval() -> None:
    folder = Path(os.environ.get("AGENTRAG_DATA", "../shared/data")) / "nfcorpus"
    if not folder.is_dir():
        pytest.skip(f"there are no evaluation data at {folder.parent} (AGENTRAG_DATA)")
    data, index = DataSet(folder), Bm25Index()
    texts = {document["id"]: f"{document['title']} {document['text']}" for document in data.documents()}
    index.build(list(texts), list(texts.values()))
    queries = list(data.queries())
    rankings = {query.id: [name for name, _ in index.search(query.question.text, 100)] for query in queries}
    judged = {query.id: query.gold.relevant for query in queries}
    assert {score for scores in judged.values() for score in scores.values()} == {1, 2}
    run = {query: {name: 1 / rank for rank, name in enumerate(found, 1)} for query, found in rankings.items()}
    agree(rankings, run, judged)
    assert 0.2 < sum(rank_scores(rankings, judged, ["ndcg@10"])["ndcg@10"].values()) / len(judged) < 0.5
