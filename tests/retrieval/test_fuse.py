from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.retrieval.fuse import Scale, convex, rrf

IDS = st.text("abcdefgh", min_size=1, max_size=1)
RANKINGS = st.lists(st.lists(IDS, unique=True, max_size=8), max_size=5)
SCORES = st.dictionaries(IDS, st.floats(-100, 100).map(lambda score: round(score, 3)), max_size=8)
WEIGHTS = st.floats(0, 1)


@given(RANKINGS, st.floats(0.1, 1000))
def test_rrf_gives_every_id_once_with_the_sum_of_its_reciprocal_ranks(rankings: list[list[str]], k: float) -> None:
    fused = rrf(rankings, k)
    assert sorted(id_ for id_, _ in fused) == sorted({id_ for ranking in rankings for id_ in ranking})
    for id_, score in fused:
        assert score == pytest.approx(sum(1 / (k + ranking.index(id_) + 1) for ranking in rankings if id_ in ranking))


@given(RANKINGS)
def test_rrf_sorts_by_score_then_id(rankings: list[list[str]]) -> None:
    fused = rrf(rankings)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


@given(RANKINGS)
def test_rrf_does_not_care_which_ranking_comes_first(rankings: list[list[str]]) -> None:
    assert dict(rrf(rankings)) == pytest.approx(dict(rrf(rankings[::-1])))


@given(st.lists(IDS, unique=True))
def test_rrf_of_one_ranking_keeps_its_order(ranking: list[str]) -> None:
    assert [id_ for id_, _ in rrf([ranking])] == ranking


@pytest.mark.parametrize(("rankings", "k"), [([["a"]], 0.0), ([["a"]], -1.0), ([["a", "b", "a"]], 60.0)])
def test_rrf_refuses_what_means_nothing(rankings: list[list[str]], k: float) -> None:
    with pytest.raises(ValueError, match=r"positive|twice"):
        rrf(rankings, k)


@given(SCORES, SCORES, WEIGHTS)
def test_convex_min_max_stays_between_0_and_1(lexical: dict[str, float], dense: dict[str, float], weight: float) -> None:
    fused = convex(lexical, dense, weight)
    assert {id_ for id_, _ in fused} == lexical.keys() | dense.keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in fused)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


@given(SCORES, SCORES, WEIGHTS, st.floats(0.5, 10), st.floats(-50, 50), st.sampled_from(["min-max", "z"]))
def test_convex_only_depends_on_the_shape_of_the_scores(
    lexical: dict[str, float], dense: dict[str, float], weight: float, stretch: float, shift: float, scale: Scale
) -> None:
    moved = {id_: score * stretch + shift for id_, score in lexical.items()}
    assert dict(convex(moved, dense, weight, scale)) == pytest.approx(dict(convex(lexical, dense, weight, scale)), abs=1e-6)


@given(st.dictionaries(IDS, st.integers(0, 99).map(float), min_size=1), SCORES, st.sampled_from(["min-max", "z"]))
def test_convex_with_all_the_weight_on_one_side_ranks_as_that_side(
    lexical: dict[str, float], dense: dict[str, float], scale: Scale
) -> None:
    dense = {id_: score for id_, score in dense.items() if id_ in lexical}
    ranked = [id_ for id_, _ in convex(lexical, dense, 1.0, scale)]
    assert ranked == sorted(lexical, key=lambda id_: (-lexical[id_], id_))


def test_convex_mixes_scaled_scores_by_weight() -> None:
    fused = dict(convex({"a": 10.0, "b": 5.0, "c": 0.0}, {"a": 0.2, "b": 0.6, "c": 0.4}, weight=0.25))
    assert fused == pytest.approx({"a": 0.25, "b": 0.125 + 0.75, "c": 0.375})


def test_convex_counts_a_missing_score_as_the_lowest_of_its_side() -> None:
    assert dict(convex({"a": 3.0, "b": 1.0}, {"c": 1.0, "a": 0.5}, 0.5)) == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5})


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_convex_refuses_a_weight_outside_0_to_1(weight: float) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        convex({"a": 1.0}, {}, weight)
