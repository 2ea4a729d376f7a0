"""Splits that tell how a trained part does on queries like those it learned from, and on queries unlike them.

Idea: ReSTTest, Zhan et al., Evaluating Interpolation and Extrapolation Performance of Neural Retrieval Models, CIKM 2022,
arXiv:2204.11447. Queries fall into K buckets by their vectors; each fold leaves one bucket out of training. Which queries
train and which test is told by the halves of the data set.

    interpolation   trains on the tune half of K - 1 buckets, tests on the report half of the same buckets
    extrapolation   the same training, tests on the report half of the bucket that was left out
    random          as extrapolation, with buckets of the same sizes that are drawn by lot: the control

Near-duplicate queries are not removed. They share a bucket, so what is learned by heart counts for interpolation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from agentrag.core.errors import DataSetError, StoreError
from agentrag.core.ports import Vectors
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.halves import half

Protocol = Literal["interpolation", "extrapolation", "random"]
Buckets = tuple[tuple[str, ...], ...]
"""Query ids by bucket: each sorted, no bucket empty, every id once."""

RESTARTS = 10
ITERATIONS = 50
_OPPOSITES: Mapping[Protocol, Protocol] = {"interpolation": "extrapolation", "extrapolation": "interpolation"}


@dataclass(frozen=True)
class Fold:
    """Ids of the queries to train on and of those to test on; ValueError where one is empty or an id occurs twice."""

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.train or not self.test:
            raise ValueError(f"has no query to {'test on' if self.train else 'train on'}")
        if twice := [name for name, times in Counter(self.train + self.test).items() if times > 1]:
            raise ValueError(f"has query '{twice[0]}' twice")


@dataclass(frozen=True)
class Splits:
    """The folds of one protocol, and what they were made from; ValueError where they have no `opposite`.

    Attributes:
        protocol: How they were made.
        data: Name of the data set.
        buckets: K, which is the number of folds too.
        seed: Of the clustering and of the drawing by lot.
        embedder: What made the vectors; empty where that has no name.
        folds: One for each bucket that is left out of training; ValueError where there are more or fewer.
    """

    protocol: Protocol
    data: str
    buckets: int
    seed: int
    embedder: str
    folds: tuple[Fold, ...]

    def __post_init__(self) -> None:
        if len(self.folds) != self.buckets:
            raise ValueError(f"has {len(self.folds)} folds for {self.buckets} buckets")
        try:
            _turned(_turned(self.folds))  # twice, so that the opposite has one too
        except ValueError as error:
            raise ValueError(f"has no opposite: a fold of that {error}") from error

    def of(self, data: DataSet, where: str = "splits") -> Splits:
        """These splits, once every id in them is known to be a query of the data set; else a DataSetError, begun by `where`."""
        known = {query.id for query in data.queries()}
        for number, fold in enumerate(self.folds):
            if strangers := sorted({*fold.train, *fold.test} - known):
                raise DataSetError(f"{where}: folds.{number}: query '{strangers[0]}' is not one of {data.folder}.")
        return self

    def opposite(self) -> Splits:
        """The same training, tested on what these splits test elsewhere: all their test queries but the fold's own.

        That turns interpolation into extrapolation and back. For random buckets, it makes the interpolation that their
        gap is measured from; its protocol is still "random".
        """
        return replace(self, protocol=_OPPOSITES.get(self.protocol, self.protocol), folds=_turned(self.folds))


@dataclass(frozen=True)
class Rotation:
    """Scores of the folds.

    Attributes:
        scores: By fold, each a mean over its test queries.
        sizes: Number of test queries by fold.
    """

    scores: tuple[float, ...]
    sizes: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean over the test queries of all folds, so a large bucket counts for more.

        Over a whole rotation both protocols test each query equally often. With this mean they therefore judge by the same
        queries, and a bucket of hard questions moves both alike; a mean of the folds' scores would not have that.
        """
        return sum(score * size for score, size in zip(self.scores, self.sizes, strict=True)) / sum(self.sizes)


@dataclass(frozen=True)
class Gap:
    """What a trained part scores on queries like those of its training and on queries unlike them."""

    interpolation: Rotation
    extrapolation: Rotation

    @property
    def gap(self) -> float:
        """Interpolation less extrapolation, in units of the score: what is lost on queries of a new kind."""
        return self.interpolation.mean - self.extrapolation.mean


def protocol_scores(
    train_and_test: Callable[[Sequence[str], Sequence[str]], float], interpolation: Splits, extrapolation: Splits
) -> Gap:
    """Train on each fold, and score inside and outside of the buckets that it was trained on.

    Args:
        train_and_test: Takes ids to train on and ids to test on, both as tuples; returns the mean score of the tested
            queries. The two calls of a fold follow each other with equal ids to train on: where training is dear, keep
            what it gave (`functools.lru_cache(maxsize=1)`).
        interpolation: Tests inside.
        extrapolation: Tests outside, with the same training: `interpolation.opposite()`, or what was made from the same
            vectors with the same seed. For the control, `random.opposite()` and `random`.

    Raises:
        ValueError: The folds of the two do not train on the same queries.
    """
    if [fold.train for fold in interpolation.folds] != [fold.train for fold in extrapolation.folds]:
        raise ValueError("the two splits do not train on the same queries, so their scores make no gap")
    scores = [
        (train_and_test(inside.train, inside.test), train_and_test(outside.train, outside.test))
        for inside, outside in zip(interpolation.folds, extrapolation.folds, strict=True)
    ]
    inside, outside = zip(*scores, strict=True)
    within, beyond = (tuple(len(fold.test) for fold in splits.folds) for splits in (interpolation, extrapolation))
    return Gap(Rotation(inside, within), Rotation(outside, beyond))


def nearest(vectors: Mapping[str, Vectors], train: Sequence[str], test: Sequence[str]) -> float:
    """Mean cosine, in [-1, 1], of the tested queries to the train query nearest to each.

    Higher inside than outside of the trained buckets; with random buckets about equal. `partial(nearest, vectors)` fits
    `protocol_scores`, whose gap then says how far apart a data set's kinds of queries are.
    """
    trained = _unit(vectors, train)
    return float(np.mean([(trained @ row).max() for row in _unit(vectors, test)]))


def folds(vectors: Mapping[str, Vectors], protocol: Protocol, k: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """The K folds of a protocol over queries, given their vectors by id.

    Equal vectors, `k` and `seed` give equal folds, in whatever order the vectors come. Interpolation and extrapolation
    share their training.

    Raises:
        DataSetError: There are too few queries for `k` buckets with both halves in them.
        ValueError: `k` < 2, or a vector is 0.
    """
    made = buckets(vectors, k, seed)
    if protocol == "random":
        made = random_buckets(made, seed)
    return rotate(made, inside=protocol == "interpolation")


def buckets(vectors: Mapping[str, Vectors], k: int = 5, seed: int = 0) -> Buckets:
    """K buckets, in the order of their first ids, of queries whose vectors point alike: k-means, the best of 10 starts.

    Args:
        vectors: One by query id, all of one length; they need not be unit vectors.
        k: Number of buckets, >= 2.
        seed: Of the starts, which are k-means++ (Arthur and Vassilvitskii, SODA 2007).

    Raises:
        DataSetError: There are fewer than `k` distinct vectors, or every start ended with an empty bucket.
        ValueError: `k` < 2, or a vector is 0.
    """
    if k < 2:
        raise ValueError(f"needs at least 2 buckets, not {k}: one is left out of training")
    ids = sorted(vectors)
    if len({vectors[name].tobytes() for name in ids}) < k:
        raise DataSetError(f"{len(ids)} queries are too few for {k} buckets, or too many of them are equal.")
    members: dict[int, list[str]] = {}
    for name, label in zip(ids, _clustered(_unit(vectors, ids), k, seed), strict=True):
        members.setdefault(int(label), []).append(name)
    return tuple(tuple(bucket) for bucket in members.values())


def random_buckets(like: Buckets, seed: int = 0) -> Buckets:
    """The same queries in buckets of the same sizes, drawn by lot."""
    ids = sorted(chain.from_iterable(like))
    order = np.random.default_rng(seed).permutation(len(ids))
    ends = accumulate((len(bucket) for bucket in like), initial=0)
    return tuple(tuple(sorted(ids[place] for place in order[begin:end])) for begin, end in pairwise(ends))


def rotate(made: Buckets, *, inside: bool) -> tuple[Fold, ...]:
    """A fold for each bucket that is left out of training, tested on the other buckets (`inside`) or on that one.

    Raises:
        DataSetError: A fold, or its opposite, would have nothing to train on or nothing to test on.
    """
    return tuple(_fold(made, out, inside) for out in range(len(made)))


def write_splits(path: Path, splits: Splits) -> None:
    """Write a file that `load_splits` reads; StoreError where it cannot be written."""
    try:
        path.write_text(json.dumps(asdict(splits), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"Splits cannot be written to {path}: {error.strerror}.") from error


def load_splits(path: Path, data: DataSet | None = None) -> Splits:
    """Read splits; with a data set, also look every id up in its queries.

    Raises:
        DataSetError: The file cannot be read, is malformed, or names a query that the data set does not have.
    """
    try:
        splits = TypeAdapter(Splits).validate_json(path.read_bytes(), strict=True)
        return splits if data is None else splits.of(data, str(path))
    except OSError as error:
        raise DataSetError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ": ".join(filter(None, (str(path), ".".join(map(str, first["loc"])))))
        raise DataSetError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error


def _turned(folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """The same training, tested on what is tested elsewhere; ValueError where a fold tests all that is tested anywhere."""
    everything = set(chain.from_iterable(fold.test for fold in folds))
    return tuple(Fold(fold.train, tuple(sorted(everything.difference(fold.test)))) for fold in folds)


def _fold(made: Buckets, out: int, inside: bool) -> Fold:
    others = sorted(chain.from_iterable(bucket for place, bucket in enumerate(made) if place != out))
    train = tuple(name for name in others if half(name) == "tune")
    within, beyond = (tuple(name for name in names if half(name) == "report") for names in (others, made[out]))
    if not (train and within and beyond):  # both, whichever is asked for: a gap is measured between them
        lacks = "to test on, in the report half" if train else "to train on, in the tune half"
        raise DataSetError(f"Fold {out + 1} of {len(made)} has no query {lacks}. Use fewer buckets, or more queries.")
    return Fold(train, within if inside else beyond)


def _unit(vectors: Mapping[str, Vectors], ids: Iterable[str]) -> NDArray[np.float64]:
    """Vectors of the ids as rows of length 1. Double precision: sums in another order then seldom move a bucket's edge."""
    rows = np.stack([vectors[name] for name in ids]).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("a query's vector is 0 or not a number, so it points nowhere")
    unit: NDArray[np.float64] = rows / lengths
    return unit


def _clustered(rows: NDArray[np.float64], k: int, seed: int) -> NDArray[np.int32]:
    """The bucket of each row, of the start with the least sum of squared distances to the centres."""
    from scipy.cluster.vq import ClusterError, kmeans2  # lazy: 200 ms, and only making splits needs it

    random = np.random.default_rng(seed)
    best, least = None, np.inf
    for _ in range(RESTARTS):
        try:
            centres, labels = kmeans2(rows, k, iter=ITERATIONS, minit="++", missing="raise", rng=random)
        except ClusterError:
            continue  # a bucket ran empty; another start may keep them all
        inertia = np.square(rows - centres[labels]).sum()
        if inertia < least:
            best, least = labels, inertia
    if best is None:
        raise DataSetError(f"The {len(rows)} queries do not fall into {k} buckets: one always stays empty. Use fewer.")
    return np.asarray(best, dtype=np.int32)
