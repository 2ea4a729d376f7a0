"""One suite over every VectorStore; `exact` is what the definition gives, computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrag.core.errors import StoreError
from agentrag.core.ports import Vectors, VectorStore
from agentrag.retrieval.chroma import ChromaStore
from agentrag.retrieval.filter import matcher
from agentrag.retrieval.memory import MemoryStore

BACK_ENDS: dict[str, Callable[[Path], VectorStore]] = {
    "memory": lambda folder: MemoryStore(),
    "chroma": lambda folder: ChromaStore(folder / "chroma"),
}


@pytest.fixture(params=BACK_ENDS)
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made = BACK_ENDS[request.param](tmp_path)
    yield made
    made.close()


def unit(seed: int, n: int, d: int = 24) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def names(n: int) -> list[str]:
    return [f"p{i:04d}" for i in range(n)]


def test_an_empty_store_finds_nothing(vectors: VectorStore) -> None:
    assert vectors.search(unit(0, 1)[0], 5) == []
    assert vectors.ids() == set()


def test_a_search_returns_the_nearest_by_cosine_best_first(vectors: VectorStore) -> None:
    held = unit(1, 300)
    vectors.add(names(300), held, [{}] * 300)
    for query in unit(2, 20):
        found = vectors.search(query, 10)
        cosines = held @ query
        assert [id_ for id_, _ in found] == [f"p{row:04d}" for row in np.argsort(-cosines)[:10]]
        assert [score for _, score in found] == pytest.approx(np.sort(cosines)[::-1][:10].tolist(), abs=1e-5)


def test_k_larger_than_the_store_returns_all(vectors: VectorStore) -> None:
    vectors.add(names(7), unit(3, 7), [{}] * 7)
    assert len(vectors.search(unit(4, 1)[0], 50)) == 7


def test_equal_vectors_come_in_the_order_of_their_ids(vectors: VectorStore) -> None:
    same = np.repeat(unit(5, 1), 6, axis=0)
    vectors.add(["c", "a", "f", "b", "e", "d"], same, [{}] * 6)
    assert [id_ for id_, _ in vectors.search(same[0], 6)] == list("abcdef")
    assert {score for _, score in vectors.search(same[0], 6)} == {1.0}


def test_adding_a_known_id_replaces_vector_and_metadata(vectors: VectorStore) -> None:
    old, new = unit(6, 2)
    vectors.add(["x"], old[None], [{"lang": "en"}])
    vectors.add(["x"], new[None], [{"lang": "de"}])
    assert [(id_, round(score, 4)) for id_, score in vectors.search(new, 5)] == [("x", 1.0)]
    assert vectors.search(new, 5, {"lang": "en"}) == []
    assert vectors.ids() == {"x"}


def test_what_is_deleted_is_not_found_and_unknown_ids_do_not_matter(vectors: VectorStore) -> None:
    held = unit(7, 40)
    vectors.add(names(40), held, [{}] * 40)
    vectors.delete([*names(40)[:20], "never-there"])
    vectors.delete([])
    assert vectors.ids() == set(names(40)[20:])
    assert {id_ for id_, _ in vectors.search(held[0], 40)} == set(names(40)[20:])


def test_a_search_may_ask_for_more_than_what_satisfies_the_conditions(vectors: VectorStore) -> None:
    vectors.add(names(200), unit(8, 200), [{"even": i % 2 == 0, "n": i} for i in range(200)])
    found = vectors.search(unit(9, 1)[0], 50, {"n": {"$lt": 6}, "even": True})
    assert sorted(id_ for id_, _ in found) == ["p0000", "p0002", "p0004"]


def test_a_wrong_condition_is_a_store_error(vectors: VectorStore) -> None:
    vectors.add(["x"], unit(10, 1), [{}])
    with pytest.raises(StoreError, match="Unknown operator"):
        vectors.search(unit(10, 1)[0], 1, {"a": {"$like": "x"}})


def test_more_than_one_batch_of_the_back_end_is_added_whole(vectors: VectorStore) -> None:
    held = unit(11, 6000, 8)
    vectors.add(names(6000), held, [{}] * 6000)
    assert len(vectors.ids()) == 6000
    vectors.delete(names(6000)[:5990])
    assert vectors.ids() == set(names(6000)[5990:])


def test_closing_twice_is_allowed(vectors: VectorStore) -> None:
    vectors.close()
    vectors.close()


def test_chroma_finds_after_opening_again_what_was_added(tmp_path: Path) -> None:
    held = unit(12, 1500)
    first = ChromaStore(tmp_path / "c")
    first.add(names(1500), held, [{}] * 1500)
    first.delete(names(1500)[:3])
    first.close()
    second = ChromaStore(tmp_path / "c")
    assert second.ids() == set(names(1500)[3:])
    assert second.search(held[1400], 1)[0][0] == "p1400"
    second.close()


VALUES = st.one_of(
    st.sampled_from(["x", "y", "1", ""]), st.integers(-2, 2), st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans()
)
NUMBERS = st.one_of(st.integers(-2, 2), st.sampled_from([-1.0, 0.5, 2.0]))
LISTS = st.one_of(
    st.lists(st.sampled_from(["x", "y", "1"]), min_size=1, max_size=3),
    st.lists(NUMBERS, min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=2),
)
LEAVES = st.builds(
    lambda key, test: {key: test},
    st.sampled_from("abc"),
    st.one_of(
        VALUES,
        st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$ne"]), VALUES),
        st.builds(lambda op, value: {op: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), NUMBERS),
        st.builds(lambda op, value: {op: value}, st.sampled_from(["$in", "$nin"]), LISTS),
    ),
)
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda op, items: {op: items}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
HELD = ["x", 1, True, 0.5, "1", -1.0, False, 2, "", 0]
METADATA: list[dict[str, Any]] = [
    {key: HELD[(i * (place + 3) + place) % len(HELD)] for place, key in enumerate("abc") if (i + place) % 4} for i in range(60)
]


@pytest.fixture(scope="module", params=BACK_ENDS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    made = BACK_ENDS[request.param](tmp_path_factory.mktemp("store"))
    made.add(names(61), unit(13, 61), [*METADATA, {}])
    yield made
    made.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=WHERES)
def test_conditions_mean_the_same_in_every_store(filled: VectorStore, where: dict[str, Any]) -> None:
    wanted = {id_ for id_, metadata in zip(names(61), [*METADATA, {}], strict=True) if matcher(where)(metadata)}
    assert {id_ for id_, _ in filled.search(unit(14, 1)[0], 61, where)} == wanted
