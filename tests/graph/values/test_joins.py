"""Joins: the built-in ones, and what a plugin may be like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from agentrag.core.errors import RunError
from agentrag.core.types import Message, Passage
from agentrag.graph.values.joins import Join, Joins, join


def found(*ids: str, score: float = 0.0, collection: str = "") -> list[Passage]:
    return [Passage(id_, f"text of {id_}", "source", score=score, collection=collection) for id_ in ids]


def test_rrf_orders_by_the_sum_of_reciprocal_ranks_and_gives_it_as_the_score() -> None:
    fused = join["rrf"].merge([found("a", "b"), found("b", "c", score=9.0)])
    assert [passage.id for passage in fused] == ["b", "a", "c"]
    assert [passage.score for passage in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_rrf_keeps_the_passage_of_the_branch_that_ranked_it_highest() -> None:
    def widened(id_: str) -> Passage:
        return Passage(id_, "wide", "source")

    fused = join["rrf"].merge([found("a", "b"), [widened("b"), widened("a")], [widened("a")]])
    assert {passage.id: passage.text for passage in fused} == {"a": "text of a", "b": "wide"}


def test_rrf_tells_passages_of_two_collections_apart_and_counts_repeats_once() -> None:
    fused = join["rrf"].merge([found("a", "b", "a"), found("a", collection="other")])
    assert [(passage.id, passage.collection) for passage in fused] == [("a", ""), ("a", "other"), ("b", "")]
    assert fused[0].score == fused[1].score == pytest.approx(1 / 61)


@dataclass(frozen=True)
class Fact:
    text: str
    extra: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "values", "merged"),
    [
        ("rrf", [[], []], []),
        ("concat", [["a", "b"], ["c", "a"], ["A"]], ["a", "b", "c", "A"]),
        ("concat", [found("a", score=1.0), found("b", "a")], [*found("a", score=1.0), *found("b")]),
        ("concat", [[Message("user", "x")], [Message("user", "x")]], [Message("user", "x")]),
        (
            "concat",
            [[Fact("x", {"n": 1})], [Fact("x", {"n": 2}), Fact("x", {"n": 1})]],
            [Fact("x", {"n": 1}), Fact("x", {"n": 2})],
        ),
        ("concat", ["first", "", "second"], "first\n\nsecond"),
        ("concat", ["", " "], ""),
        ("vote", ["Lyon", "Paris.", "paris"], "Paris."),
        ("vote", ["Lyon", "Paris"], "Lyon"),
        ("vote", [True, False, False], False),
        ("vote", [2, 1, 1], 1),
        ("first", ["b", "a"], "b"),
        ("mean", [1.0, 2.0], 1.5),
        ("min", [2, 1], 1),
        ("max", [0.5, 0.75], 0.75),
    ],
)
def test_a_join_makes_one_value_of_those_of_the_branches(name: str, values: Sequence[Any], merged: Any) -> None:
    assert join[name].merge(values) == merged


@pytest.mark.parametrize("name", ["concat", "vote", "first", "mean", "min", "max"])
def test_the_value_of_a_single_branch_stays(name: str) -> None:
    value: Any = "a" if name in ("concat", "vote", "first") else 1.5
    assert join[name].merge([value]) == value


KINDS = [str, Literal["a", "b"], int, float, bool, list[str], list[Passage], dict[str, int], int | None, Any]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("rrf", [list[Passage], Any]),
        ("concat", [str, Literal["a", "b"], list[str], list[Passage], Any]),
        ("vote", [str, Literal["a", "b"], int, float, bool, Any]),
        ("first", KINDS),
        ("mean", [float, Any]),
        ("min", [int, float, Any]),
        ("max", [int, float, Any]),
    ],
)
def test_a_join_takes_the_channel_types_that_its_result_is_of_too(name: str, kinds: list[Any]) -> None:
    assert [kind for kind in KINDS if join[name].accepts(kind)] == kinds


def test_a_join_says_in_words_what_it_is_and_takes() -> None:
    assert join["rrf"].accepted == "list[Passage]"
    assert join["concat"].accepted == "str or list[Any]"
    assert join["min"].accepted == "int or float"
    assert all(each.about for each in join.values())


def longest(values: Sequence[str]) -> str:
    """The longest text."""
    return max(values, key=len)


def test_a_plugin_join_is_used_like_a_built_in_one() -> None:
    table = Joins("join")
    assert table("longest")(longest) is longest
    assert table["longest"] == Join("longest", "The longest text.", str, str, longest)
    assert table["longest"].merge(["a", "bb"]) == "bb"


def single(values: str) -> str:
    return values


def silent(values: Sequence[str]) -> None:
    return None


def pair(one: Sequence[str], other: Sequence[str]) -> str:
    return one[0]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (single, r"join 'j' is given several values as Sequence\[\.\.\.\], but is annotated str"),
        (silent, "join 'j' should give a value of the type that it takes, str"),
        (pair, r"join 'j' should be a function \(values\) -> result with all types annotated, but is"),
        (lambda values: values[0], "join 'j' should be a function"),
    ],
)
def test_an_ill_typed_join_is_refused_when_it_is_registered(function: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Joins("join")("j")(function)


def test_a_join_that_fails_is_an_error_of_the_run_that_names_it() -> None:
    with pytest.raises(RunError, match="join 'longest' failed: TypeError: object of type 'int' has no len"):
        Join.of("longest", longest).merge([1, 2])
