from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.retrieval.lexical import K1, B, Bm25Index, Words

TEXTS = {
    "a": "The red lamp of the lighthouse shines at night.",
    "b": "Lamps shine; lamps are shining in the lighthouse lamp room.",
    "c": "Boats sail by day.",
    "d": "A night boat sails by the lamp.",
}


@pytest.fixture(params=["built", "saved"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Bm25Index:
    made = built(TEXTS)
    if request.param == "built":
        return made
    made.save(tmp_path / "lexical")
    return Bm25Index.load(tmp_path / "lexical")


def built(texts: dict[str, str]) -> Bm25Index:
    made = Bm25Index()
    made.build(list(texts), list(texts.values()))
    return made


def test_scores_are_bm25_in_lucenes_form(index: Bm25Index) -> None:
    from math import log

    stems = {id_: Words().stems(text) for id_, text in TEXTS.items()}
    mean = sum(map(len, stems.values())) / len(stems)

    def score(id_: str, stem: str) -> float:
        frequency = stems[id_].count(stem)
        held = sum(stem in other for other in stems.values())
        rarity = log(1 + (len(stems) - held + 0.5) / (held + 0.5))
        return rarity * frequency / (frequency + K1 * (1 - B + B * len(stems[id_]) / mean))

    wanted = {id_: score(id_, "lamp") + score(id_, "night") for id_ in TEXTS}
    assert dict(index.search("lamps at night", 9)) == pytest.approx({id_: s for id_, s in wanted.items() if s}, rel=1e-5)


def test_words_match_by_stem_without_case_and_stop_words() -> None:
    assert Words().stems("The SHINING lamps, a boat's X-ray of 1995") == ["shine", "lamp", "boat", "ray", "1995"]


@pytest.mark.parametrize("query", ["", "the of a", "!", "unheard"])
def test_a_query_without_known_words_finds_nothing(index: Bm25Index, query: str) -> None:
    assert index.search(query, 5) == []


def test_allowed_restricts_the_ids(index: Bm25Index) -> None:
    assert [id_ for id_, _ in index.search("lamp", 5, frozenset({"a", "c", "never-there"}))] == ["a"]
    assert index.search("lamp", 5, frozenset()) == []


@given(st.permutations(["c", "a", "e", "b", "d"]), st.integers(1, 6))
def test_ties_come_by_id_also_at_the_cut(order: list[str], k: int) -> None:
    found = built(dict.fromkeys(order, "same words") | {"z": "other"}).search("words", k)
    assert [id_ for id_, _ in found] == ["a", "b", "c", "d", "e"][:k]


def test_building_again_replaces_the_index(index: Bm25Index) -> None:
    assert index.search("lamp", 1)
    index.build(["x"], ["A lamp."])
    assert [id_ for id_, _ in index.search("lamp", 5)] == ["x"]
    assert index.ids() == {"x"}


@pytest.mark.parametrize("texts", [{}, {"a": ""}, {"a": "the", "b": "!"}], ids=["no passage", "no word", "stop words"])
def test_an_index_without_words_can_be_saved_and_searched(texts: dict[str, str], tmp_path: Path) -> None:
    made = built(texts)
    made.save(tmp_path / "lexical")
    for index in (made, Bm25Index.load(tmp_path / "lexical")):
        assert index.search("lamp", 5) == []
        assert index.ids() == texts.keys()


def test_an_index_whose_files_do_not_fit_each_other_is_refused(tmp_path: Path) -> None:
    built(TEXTS).save(tmp_path / "lexical")
    (tmp_path / "lexical" / "ids.json").write_text(json.dumps(["a"]))
    with pytest.raises(ValueError, match="1 ids for 4 passages"):
        Bm25Index.load(tmp_path / "lexical")
