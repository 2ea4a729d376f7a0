"""Measures: the built-in ones, and what a plugin may be like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest

from agentrag.core.channels import Channel
from agentrag.core.errors import RunError
from agentrag.core.types import Message, Passage
from agentrag.graph.cel.expressions import compile_expression
from agentrag.graph.cel.measures import Measure, Measures, agreement, measure, novelty, stable
from agentrag.graph.values.sameness import normal


def found(*ids: str, score: float = 0.0) -> list[Passage]:
    return [Passage(id_, "text", "source", score=score) for id_ in ids]


@pytest.mark.parametrize(
    ("current", "previous", "value"),
    [
        ("Paris", [], False),
        ("The answer is Paris.", ["the answer, is  «paris»!"], True),
        ("Paris", ["Paris", "Lyon"], False),
        ("Paris", ["Lyon", "Paris"], True),
        ("at -5 degrees", ["at 5 degrees"], False),
        ("3.5", ["3 5"], False),
        ("की", ["कि"], False),
        (found("a", "b", score=0.5), [found("b", "a")], True),
        (found("a"), [[Passage("a", "text", "source", collection="other")]], False),
        (found("a"), [[]], False),
        ([], [[]], True),
        (["b", "A"], [["b.", "a"]], True),
        (["a", "b"], [["b", "a"]], False),
        ([Message("user", "Why?")], [[Message("user", "why")]], True),
        ([Message("user", "Why?")], [[Message("assistant", "Why?")]], False),
        ({"a": [1.5]}, [{"a": [1.5]}], True),
        (3, [4], False),
    ],
)
def test_stable_compares_with_the_round_before(current: Any, previous: Sequence[Any], value: bool) -> None:
    assert stable(current, previous) is value


@pytest.mark.parametrize(
    ("current", "previous", "value"),
    [
        (found("a", "b", "c", "d"), [found("a"), found("b")], 0.5),
        (found("a", "a", "b"), [found("c")], 1.0),
        (["x", "Y"], [["y."]], 0.5),
        ("the red fox and the hen", ["The fox!", "the hen"], 0.4),
        ("anything", [], 1.0),
        ([], [], 1.0),
        ([], [["x"]], 0.0),
        ("...", ["x"], 0.0),
    ],
)
def test_novelty_is_the_share_that_no_round_before_had(current: Any, previous: Sequence[Any], value: float) -> None:
    assert novelty(current, previous) == pytest.approx(value)


@pytest.mark.parametrize(
    ("current", "previous", "value"),
    [
        (["Paris", "paris.", "Lyon", "Paris"], [], 0.75),
        (["a", "b"], [["a", "a"]], 0.5),
        ([], [["a"]], 0.0),
        ("Paris", [], 0.0),
        ("Paris", ["paris!", "Lyon", "Lyon", "PARIS"], 0.5),
    ],
)
def test_agreement_is_the_share_that_says_the_same(current: Any, previous: Sequence[Any], value: float) -> None:
    assert agreement(current, previous) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,000.50, yes", "1,000.50 yes"),
        ("2019-2020", "2019 2020"),
        ("state-of-the-art", "state of the art"),
        ("-3 – 4.", "-3 4"),
        ("(.5)", ".5"),
        ("a.5", "a 5"),
        ("Straße", "strasse"),
        ("C++ “is” 东京。", "c++ is 东京"),
    ],
)
def test_a_text_is_its_words(text: str, words: str) -> None:
    assert normal(text) == words


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("stable", [str, int, list[Passage], set[int], Any, int | None], []),
        ("novelty", [str, list[str], list[Passage], list, Literal["a", "b"], Any], [int, float, str | None, dict[str, str]]),
        ("agreement", [str, list[str], list[Any], Literal["a"]], [list[Passage], list[int], bool, list[str | None]]),
    ],
)
def test_a_measure_takes_the_channel_types_that_it_names(name: str, taken: list[Any], refused: list[Any]) -> None:
    assert [kind for kind in [*taken, *refused] if measure[name].accepts(kind)] == taken


def test_the_built_in_measures_say_what_they_are() -> None:
    assert {"stable", "novelty", "agreement"} <= set(measure.names())
    assert all(each.about.endswith(".") and each.name == name for name, each in measure.items())


def length(current: str, previous: Sequence[str]) -> int:
    """Words now."""
    return len(current.split())


@pytest.fixture
def registered() -> Iterator[Measures]:
    """The measures of expressions, with some more."""
    measure("words")(length)
    yield measure
    measure.pop("words")


def test_a_plugin_measure_is_used_like_a_built_in_one(registered: Measures) -> None:
    expression = compile_expression("words(answer) > 2 && words(answer) + 1 == 4", {"answer": Channel(str)})
    assert expression({"answer": "one two three"}) is True
    assert expression.measures({"answer": "one"}) == {"words(answer)": 1}
    assert registered["words"].about == "Words now."


async def waits(current: str, previous: Sequence[str]) -> bool:
    return True


def bare(current, previous):  # type: ignore[no-untyped-def]
    return True


def one(current: str) -> bool:
    return True


def starred(*current: str) -> bool:
    return True


def texts(current: str, previous: Sequence[str]) -> str:
    return current


def listed(current: str, previous: list[str]) -> bool:
    return True


def mixed(current: str, previous: Sequence[int]) -> bool:
    return True


def nameless(current: Nowhere, previous: Sequence[Nowhere]) -> bool:  # type: ignore[name-defined]  # noqa: F821
    return True


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (waits, "measure 'm' should be a function"),
        (length("a", []), "measure 'm' should be a function"),
        (bare, r"\(current, previous\) -> result with all types annotated, but is \(current, previous\)"),
        (one, r"but is \(current: str\) -> bool"),
        (starred, r"but is \(\*current: str\) -> bool"),
        (texts, "should give bool, int or float, but is annotated str"),
        (listed, r"is given several values as Sequence\[\.\.\.\], but is annotated list\[str\]"),
        (mixed, "is given earlier values of what it takes, str"),
        (nameless, "name 'Nowhere' is not defined"),
    ],
)
def test_an_ill_typed_measure_is_refused_when_it_is_registered(function: Any, said: str) -> None:
    table = Measures("measure")
    with pytest.raises(TypeError, match=said):
        table("m")(function)
    assert "m" not in table


@pytest.mark.parametrize("name", ["size", "exists", "loop", "in", "Novel", "my-measure", "2nd", ""])
def test_a_measure_cannot_have_a_name_that_expressions_cannot_call(name: str) -> None:
    with pytest.raises(ValueError, match=f"measure '{name}' should"):
        Measures("measure")(name)(length)


def test_a_measure_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="measure 'stable' is already registered"):
        measure("stable")(length)


def share(current: Any, previous: Sequence[Any]) -> float:
    return current  # type: ignore[no-any-return]


def test_a_whole_number_is_a_float() -> None:
    value = Measure.of("share", share)(1, [])
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize("value", ["half", None, True, float("nan"), [0.5]])
def test_a_measure_that_breaks_its_word_is_an_error_of_the_run_that_names_it(value: Any) -> None:
    with pytest.raises(RunError, match=r"measure 'share' gave .*, but declares float"):
        Measure.of("share", share)(value, [])


def test_a_measure_that_fails_is_an_error_of_the_run_that_names_it(registered: Measures) -> None:
    expression = compile_expression("words(anything) > 1", {"anything": Channel(Any)})
    said = r"'words\(anything\) > 1' cannot be evaluated: measure 'words' failed: AttributeError: "
    with pytest.raises(RunError, match=said):
        expression({"anything": 3})
    with pytest.raises(RunError, match=said):
        expression.measures({"anything": 3})
