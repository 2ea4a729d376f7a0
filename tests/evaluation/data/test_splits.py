import json
import os
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from agentrag.core.errors import DataSetError, StoreError
from agentrag.core.ports import Vectors
from agentrag.core.settings import Settings, load_settings
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.halves import half
from agentrag.evaluation.data.splits import (
    Fold,
    Protocol,
    Splits,
    buckets,
    folds,
    load_splits,
    nearest,
    protocol_scores,
    random_buckets,
    rotate,
    write_splits,
)
from agentrag.models.pull import pull
from agentrag.retrieval.embed import open_embedder

SIZES = (40, 30, 50, 25, 35)


def clusters(sizes: Sequence[int] = SIZES) -> dict[str, Vectors]:
    """Vectors by id, `sizes[n]` of them around axis n; ids tell the cluster: c0-0, c0-1 ..."""
    random = np.random.default_rng(7)
    vectors = {}
    for axis, size in enumerate(sizes):
        for place in range(size):
            row = random.normal(0, 0.1, len(sizes) + 3)
            row[axis] += 1
            vectors[f"c{axis}-{place}"] = row.astype(np.float32)
    return vectors


def cluster(name: str) -> str:
    return name.partition("-")[0]


def splits(protocol: Protocol, vectors: dict[str, Vectors], k: int = 5) -> Splits:
    return Splits(protocol, "synthetic", k, 0, "none", folds(vectors, protocol, k))


def test_buckets_are_the_clusters_that_were_put_in() -> None:
    made = buckets(clusters())
    assert sorted(chain.from_iterable(made)) == sorted(clusters())
    assert [{cluster(name) for name in bucket} for bucket in made] == [{"c0"}, {"c1"}, {"c2"}, {"c3"}, {"c4"}]


def test_buckets_go_by_direction_and_not_by_length() -> None:
    vectors = {name: row * (index % 9 + 1) for index, (name, row) in enumerate(clusters().items())}
    assert buckets(vectors) == buckets(clusters())


@pytest.mark.parametrize("protocol", ["interpolation", "extrapolation", "random"])
def test_folds_do_not_depend_on_the_order_of_the_queries(protocol: Protocol) -> None:
    random = np.random.default_rng(3)
    noise = {f"q{n}": random.normal(size=8).astype(np.float32) for n in range(120)}
    backwards = dict(reversed(noise.items()))
    assert folds(noise, protocol, 4, seed=11) == folds(backwards, protocol, 4, seed=11)


def test_another_seed_draws_other_random_buckets_of_the_same_sizes() -> None:
    made = buckets(clusters())
    drawn = [random_buckets(made, seed) for seed in range(3)]
    assert len(set(drawn)) == 3
    for each in drawn:
        assert [len(bucket) for bucket in each] == [len(bucket) for bucket in made] == list(SIZES)
        assert sorted(chain.from_iterable(each)) == sorted(clusters())
        assert all(len({cluster(name) for name in bucket}) > 1 for bucket in each)


def test_interpolation_and_extrapolation_share_their_training_and_differ_in_what_they_test() -> None:
    inside, outside = folds(clusters(), "interpolation"), folds(clusters(), "extrapolation")
    assert [fold.train for fold in inside] == [fold.train for fold in outside]
    for out, (seen, unseen) in enumerate(zip(inside, outside, strict=True)):
        others = {f"c{place}" for place in range(5) if place != out}
        assert {cluster(name) for name in unseen.test} == {f"c{out}"}
        assert {cluster(name) for name in seen.test} == {cluster(name) for name in seen.train} == others
        assert set(seen.train) == {name for name in clusters() if cluster(name) != f"c{out}" and half(name) == "tune"}
        assert {half(name) for name in seen.test + unseen.test} == {"report"}


@pytest.mark.parametrize("protocol", ["extrapolation", "random"])
def test_each_query_of_the_report_half_is_tested_once_in_a_rotation(protocol: Protocol) -> None:
    tested = list(chain.from_iterable(fold.test for fold in folds(clusters(), protocol)))
    assert sorted(tested) == sorted(name for name in clusters() if half(name) == "report")


def test_the_opposite_turns_one_protocol_into_the_other_and_back() -> None:
    inside, outside, lot = (splits(each, clusters()) for each in ("interpolation", "extrapolation", "random"))
    assert inside.opposite() == outside
    assert outside.opposite() == inside
    assert lot.opposite().opposite() == lot
    assert [fold.train for fold in lot.opposite().folds] == [fold.train for fold in lot.folds]
    assert all(len(seen.test) > len(unseen.test) for seen, unseen in zip(lot.opposite().folds, lot.folds, strict=True))


@pytest.mark.parametrize(
    ("sizes", "k", "said"),
    [
        ((2, 1), 5, "3 queries are too few for 5 buckets"),
        ((1, 1, 40), 3, r"Fold [123] of 3 has no query to test on, in the report half\. Use fewer buckets"),
    ],
    ids=["fewer queries than buckets", "a bucket of one half only"],
)
def test_too_few_queries_are_told(sizes: tuple[int, ...], k: int, said: str) -> None:
    with pytest.raises(DataSetError, match=said):
        folds(clusters(sizes), "extrapolation", k)


@pytest.mark.parametrize("inside", [True, False])
def test_a_bucket_without_a_query_to_test_on_is_told_whether_or_not_it_would_be_tested(inside: bool) -> None:
    """Interpolation tests other buckets, but its gap is measured to the one that is left out."""
    tune = [name for name in clusters() if half(name) == "tune"]
    report = [name for name in clusters() if half(name) == "report"]
    made = ((*tune[:9], *report[:9]), (*tune[9:18], *report[9:18]), tuple(tune[18:27]))
    with pytest.raises(DataSetError) as caught:
        rotate(made, inside=inside)
    said = "Fold 3 of 3 has no query to test on, in the report half. Use fewer buckets, or more queries."
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "tested",
    [[("a", "b"), ("b",)], [("a",)], [("a",), ("a", "b"), ("a", "c")]],
    ids=["all that is tested", "one fold", "the opposite of the opposite"],
)
def test_splits_without_an_opposite_are_refused_when_they_are_made(tested: list[tuple[str, ...]]) -> None:
    made = tuple(Fold(("t",), names) for names in tested)
    with pytest.raises(ValueError, match=r"^has no opposite: a fold of that has no query to test on$"):
        Splits("interpolation", "d", len(made), 0, "", made)


def test_a_rotation_that_has_nothing_to_train_on_is_told() -> None:
    tune, report = ([name for name in clusters() if half(name) == part] for part in ("tune", "report"))
    with pytest.raises(DataSetError, match=r"Fold 1 of 2 has no query to train on, in the tune half"):
        rotate((tuple(tune), tuple(report)), inside=False)


def test_equal_queries_do_not_count_as_several() -> None:
    row = np.ones(4, dtype=np.float32)
    with pytest.raises(DataSetError, match="20 queries are too few for 2 buckets, or too many of them are equal"):
        buckets({f"q{n}": row for n in range(20)}, 2)


@pytest.mark.parametrize(
    ("vectors", "k", "said"),
    [
        (clusters(), 1, "needs at least 2 buckets, not 1"),
        (clusters() | {"zero": np.zeros(8, dtype=np.float32)}, 2, "points nowhere"),
    ],
    ids=["one bucket", "a vector without a direction"],
)
def test_what_cannot_be_clustered_is_told(vectors: dict[str, Vectors], k: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        buckets(vectors, k)


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [((), ("a",), "no query to train on"), (("a",), (), "no query to test on"), (("a", "b"), ("b",), "query 'b' twice")],
    ids=["no training", "no test", "trained on what is tested"],
)
def test_a_fold_keeps_training_and_test_apart(train: tuple[str, ...], test: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fold(train, test)


def test_tested_queries_lie_nearer_to_training_inside_the_trained_buckets() -> None:
    vectors = clusters()
    gap = protocol_scores(partial(nearest, vectors), splits("interpolation", vectors), splits("extrapolation", vectors))
    assert min(gap.interpolation.scores) > 0.9
    assert max(gap.extrapolation.scores) < 0.5
    lot = splits("random", vectors)
    assert abs(protocol_scores(partial(nearest, vectors), lot.opposite(), lot).gap) < 0.01


def test_nearest_is_the_mean_of_the_best_cosines() -> None:
    rows = {"x": [1, 0], "y": [0, 2], "along x": [3, 0], "between": [1, 1], "against x": [-1, 0]}
    vectors = {name: np.array(row, dtype=np.float32) for name, row in rows.items()}
    assert nearest(vectors, ["x", "y"], ["along x", "between"]) == pytest.approx((1 + 2**-0.5) / 2)
    assert nearest(vectors, ["x"], ["against x"]) == pytest.approx(-1)


def test_scores_are_made_per_fold_and_averaged_over_the_tested_queries() -> None:
    outside = Splits("extrapolation", "d", 2, 0, "", (Fold(("t1",), ("a",)), Fold(("t2",), ("b", "c", "d"))))
    asked = []

    def train_and_test(train: Sequence[str], test: Sequence[str]) -> float:
        asked.append((train, test))
        return sum({"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.1}[name] for name in test) / len(test)

    found = protocol_scores(train_and_test, outside.opposite(), outside)
    assert asked == [(("t1",), ("b", "c", "d")), (("t1",), ("a",)), (("t2",), ("a",)), (("t2",), ("b", "c", "d"))]
    assert (found.extrapolation.sizes, found.interpolation.sizes) == ((1, 3), (3, 1))
    assert found.extrapolation.scores == pytest.approx((1.0, 0.2))
    assert found.interpolation.scores == pytest.approx((0.2, 1.0))
    assert found.extrapolation.mean == pytest.approx(0.4)


def test_what_does_not_depend_on_training_has_no_gap_however_hard_a_bucket_is() -> None:
    vectors = clusters()

    def untrained(_: Sequence[str], test: Sequence[str]) -> float:
        return sum(cluster(name) != "c3" for name in test) / len(test)

    found = protocol_scores(untrained, splits("interpolation", vectors), splits("extrapolation", vectors))
    assert set(found.extrapolation.scores) == {0.0, 1.0}
    assert found.gap == pytest.approx(0, abs=1e-12)


def test_what_is_learned_by_cluster_is_lost_outside() -> None:
    vectors = clusters()

    def known(train: Sequence[str], test: Sequence[str]) -> float:
        learned = {cluster(name) for name in train}
        return sum(cluster(name) in learned for name in test) / len(test)

    assert protocol_scores(known, splits("interpolation", vectors), splits("extrapolation", vectors)).gap == 1.0
    lot = splits("random", vectors)
    assert protocol_scores(known, lot.opposite(), lot).gap == 0.0


def test_splits_with_other_training_make_no_gap() -> None:
    with pytest.raises(ValueError, match="do not train on the same queries"):
        protocol_scores(lambda _, __: 1.0, splits("interpolation", clusters()), splits("random", clusters()))


@pytest.mark.parametrize("protocol", ["interpolation", "extrapolation", "random"])
def test_a_file_gives_back_what_was_written(tmp_path: Path, protocol: Protocol) -> None:
    made = splits(protocol, {f"größe-{name}": row for name, row in clusters().items()})
    write_splits(tmp_path / "splits.json", made)
    assert load_splits(tmp_path / "splits.json") == made
    raw = json.loads((tmp_path / "splits.json").read_text(encoding="utf-8"))
    assert list(raw) == ["protocol", "data", "buckets", "seed", "embedder", "folds"]
    assert {tuple(fold) for fold in raw["folds"]} == {("train", "test")}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/splits\.json: No such file or directory"):
        write_splits(tmp_path / "missing" / "splits.json", splits("random", clusters()))


WHOLE = {
    "protocol": "random",
    "data": "rivers",
    "buckets": 2,
    "seed": 0,
    "embedder": "words",
    "folds": [{"train": ["q1"], "test": ["q2"]}, {"train": ["q1"], "test": ["q3"]}],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "other"}, "protocol: Input should be 'interpolation', 'extrapolation' or 'random'"),
        ({"seed": "0"}, "seed: Input should be a valid integer"),
        ({"buckets": 3}, "has 2 folds for 3 buckets"),
        ({"folds": "none"}, "folds: Input should be"),
        ({"folds": [{"train": ["q1"]}]}, "folds.0.test: Field required"),
        ({"folds": [{"train": ["q1"], "test": ["q2", 3]}]}, "folds.0.test.1: Input should be a valid string"),
        ({"folds": [{"train": ["q1"], "test": ["q2"]}, {"train": [], "test": ["q2"]}]}, "folds.1: has no query to train on"),
        ({"folds": [{"train": ["q1"], "test": ["q1"]}]}, "folds.0: has query 'q1' twice"),
        ({"folds": [{"train": ["q1"], "test": ["q2"]}] * 2}, "has no opposite: a fold of that has no query to test on"),
    ],
    ids=["protocol", "type", "count", "no list", "no test", "an id's type", "no training", "an id twice", "no opposite"],
)
def test_a_malformed_file_is_told_with_its_place(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(WHOLE | change), encoding="utf-8")
    with pytest.raises(DataSetError) as caught:
        load_splits(path)
    assert str(caught.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'{"protocol"', r"Invalid JSON: .* at line 1 column 11"), (b"\xff", "Invalid JSON"), (None, "No such file")],
    ids=["cut off", "not UTF-8", "missing"],
)
def test_what_is_not_json_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "splits.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataSetError, match=rf"splits\.json.*{said}"):
        load_splits(path)


def test_an_id_that_the_data_set_does_not_have_is_told(tmp_path: Path, rivers: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(WHOLE), encoding="utf-8")
    assert load_splits(path, DataSet(rivers)) == load_splits(path)
    path.write_text(json.dumps(WHOLE).replace("q3", "q9"), encoding="utf-8")
    with pytest.raises(DataSetError) as caught:
        load_splits(path, DataSet(rivers))
    assert str(caught.value) == f"{path}: folds.1: query 'q9' is not one of {rivers}."
    with pytest.raises(DataSetError, match=r"^splits: folds\.1: query 'q9'"):
        load_splits(path).of(DataSet(rivers))


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with the real embedder, kept in the user's cache, and a vector cache of their own."""
    empty = tmp_path_factory.mktemp("settings") / "agentrag.yaml"
    empty.touch()
    kept = load_settings(empty).cache
    pull("all-minilm-l6-v2", kept)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").symlink_to(kept / "models")
    return Settings(home=cache, cache=cache)


@pytest.mark.model
async def test_a_nearest_neighbour_loses_on_new_kinds_of_queries_and_nothing_on_random_buckets(minilm: Settings) -> None:
    """The part under test names the golden tool of the nearest train query. Tools that only the bucket left out asks for
    cannot be named: the gap must be large.

    With random buckets the expected gap is 0 by symmetry, whatever the data: no query is more likely inside than outside.
    Each drawing is an independent one, so the mean of 20 gaps must lie within 2 standard errors of 0, by their own spread.
    """
    folder = Path(os.environ.get("AGENTRAG_DATA", "../shared/data")) / "toole-single"
    if not folder.is_dir():
        pytest.skip(f"there are no evaluation data at {folder.parent} (AGENTRAG_DATA)")
    queries = list(DataSet(folder).queries())
    tool = {query.id: frozenset(query.gold.relevant) for query in queries}
    rows = await open_embedder(minilm).embed([query.question.text for query in queries])
    vectors = dict(zip(tool, rows, strict=True))

    def neighbour(train: Sequence[str], test: Sequence[str]) -> float:
        trained = np.stack([vectors[name] for name in train])
        found = {name: train[int((trained @ vectors[name]).argmax())] for name in test}
        return sum(tool[name] == tool[near] for name, near in found.items()) / len(test)

    made = buckets(vectors)
    outside = Splits("extrapolation", "toole-single", 5, 0, "", rotate(made, inside=False))
    found = protocol_scores(neighbour, outside.opposite(), outside)
    assert found.gap > 0.2
    assert min(found.interpolation.scores) > max(found.extrapolation.scores)
    cosines = protocol_scores(partial(nearest, vectors), outside.opposite(), outside)
    assert min(cosines.interpolation.scores) > max(cosines.extrapolation.scores)

    gaps = []
    for seed in range(20):
        lot = Splits("random", "toole-single", 5, seed, "", rotate(random_buckets(made, seed), inside=False))
        gaps.append(protocol_scores(neighbour, lot.opposite(), lot).gap)
    error = np.std(gaps, ddof=1) / len(gaps) ** 0.5
    assert error < 0.01
    assert abs(np.mean(gaps)) <= 2 * error
