"""Holes in text."""

import pytest

from agentrag.core.template import Template


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{a} and {b}", {"a": "x", "b": "y"}, "x and y"),
        ("{a?}!", {}, "!"),
        ("{a?}!", {"a": None}, "!"),
        ("{{a}} {a}", {"a": 1}, "{a} 1"),
        ("{a}", {"a": "{b}"}, "{b}"),
    ],
    ids=["two", "optional missing", "optional none", "literal braces", "values are not templates"],
)
def test_holes_are_filled(text: str, values: dict[str, object], filled: str) -> None:
    assert Template(text).fill(values) == filled


def test_a_missing_required_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="a"):
        Template("{a}").fill({})


@pytest.mark.parametrize("text", ["{", "a } b", "{A}", "{a b}", "{}"])
def test_a_lone_brace_is_located(text: str) -> None:
    with pytest.raises(ValueError, match=r"lone '[{}]' at character \d+"):
        _ = Template(text).holes


def test_required_holes_are_those_without_a_question_mark() -> None:
    assert Template("{a} {b?} {{c}} {a}").required == {"a"}
