"""Expressions in CEL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from agentrag.core.channels import STANDARD, Channel
from agentrag.core.errors import RunError
from agentrag.core.types import Message, Passage
from agentrag.graph.cel.expressions import ExpressionError, compile_expression
from agentrag.graph.cel.text import FORMS


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Gate:
    retrieve: bool
    inner: Inner
    score: float | None = None
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    secret: object = None


CHANNELS = {
    **STANDARD,
    "style": Channel(str),
    "n": Channel(int),
    "x": Channel(float),
    "mood": Channel(Literal["good", "bad"]),
    "maybe": Channel(int | None),
    "weights": Channel(dict[str, float]),
    "anything": Channel(Any),
    "handles": Channel(set[int]),
    "type": Channel(str),
    "gate": Channel(Gate),
}
GATE = Gate(True, Inner("i"), tags=("a", "b"), extra={"year": 2020})
FOUND = [Passage("1", "text", "s", score=0.7, page=3, metadata={"lang": "en"}), Passage("2", "text", "s")]


@pytest.mark.parametrize(
    ("text", "state", "value"),
    [
        ("style == 'short'", {"style": "short"}, True),
        ("n > 3 && x < 0.5", {"n": 4, "x": 0.25}, True),
        ("mood in ['good']", {"mood": "bad"}, False),
        ("maybe == null || maybe > 3", {"maybe": None}, True),
        ("weights['a'] >= 1.0", {"weights": {"a": 1.0}}, True),
        ("anything == 3", {"anything": 3}, True),
        ("size(passages) == 0", {"passages": []}, True),
        ("passages.exists(p, p.score > 0.5 && p.metadata.lang == 'en')", {"passages": FOUND}, True),
        ("has(passages[0].page) && !has(passages[1].page)", {"passages": FOUND}, True),
        ("passages[0].page == 3 && passages[1].page == null", {"passages": FOUND}, True),
        ("history.all(m, m.role == 'user')", {"history": [Message("assistant", "hello")]}, False),
        ("gate.retrieve && !has(gate.score) && gate.inner.name == 'i'", {"gate": GATE}, True),
        ("'b' in gate.tags && gate.extra.year > 2000", {"gate": GATE}, True),
        ("style == 'x' ? abstained : !abstained", {"style": "x", "abstained": False}, False),
    ],
)
def test_a_condition_sees_channels_of_every_type(text: str, state: dict[str, Any], value: bool) -> None:
    expression = compile_expression(text, CHANNELS)
    assert expression.reads == state.keys()
    assert expression(state) is value


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("pasages == []", 0, "Unknown name 'pasages'. Did you mean 'passages'?"),
        ("n > 1 && foo(n)", 9, "Unknown function 'foo'."),
        ("n > 1 && novelti (passages) > 0.5", 9, "Unknown function 'novelti'. Did you mean 'novelty'?"),
        ("style.startWith('a')", 6, "Unknown function 'startWith'. Did you mean 'startsWith'?"),
        ("size(passages, 1) > 0", 0, "size() is written size(value)"),
        ("passages.exists(n)", 9, "exists() is written list.exists(item, condition)"),
        ("passages[0].scor > 0.5", 11, "Unknown field 'scor'. Did you mean 'score'?"),
        ("has(gate.scores)", 3, "Unknown field 'scores'. Did you mean 'score'?"),
        ("gate.secret == 1", 4, "Unknown field 'secret'."),
        ("n > 1.5", 2, "found no matching overload for '>' applied to '(int, double)'"),
        ("!style", 0, "found no matching overload for '!' applied to '(string)'"),
        ("has(style)", 4, "has() argument must be a field selection"),
        ("style", 0, "should be true or false, but is string"),
        ("anything", 0, "should be true or false, but is dyn"),
        ("handles == []", 0, "channel 'handles' is set[int], which conditions cannot read"),
        ("type == 'a'", 5, "found no matching overload for '==' applied to '(type(type), string)'"),
        ("n >", 2, "Syntax error: unexpected end"),
        ("n == 1 &&\n  zork", 12, "Unknown name 'zork'."),
        ("  ", 0, "is empty"),
        ("n == 1 " + "|| n == 1 " * 200, 0, "is longer than 1000 characters"),
        ("(" * 400 + "n == 1" + ")" * 400, 0, "is nested too deep"),
    ],
)
def test_a_wrong_condition_is_refused_with_the_place_of_its_fault(text: str, at: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, CHANNELS)
    [fault] = caught.value.faults
    assert fault.offset == at
    assert fault.message.startswith(said)


def test_all_faults_of_a_condition_are_told_at_once() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("n > 'a' || zork || n + style > 1", CHANNELS)
    assert [fault.offset for fault in caught.value.faults] == [2, 11, 21]


@pytest.mark.parametrize(
    ("text", "state", "said"),
    [
        ("passages[7].page == 3", {"passages": FOUND}, "Index error"),
        ("passages[0].metadata.missing == 1", {"passages": FOUND}, 'Key not found in map : "missing"'),
        ("n / (n - n) > 1", {"n": 1}, "divide by zero"),
        ("style == 'a'", {"style": None}, "Unexpected value type for 'style': NoneType"),
        ("gate.retrieve", {"gate": None}, "NoneType"),
        ("n > 1", {"n": 2**70}, "int too big"),
        ("anything == 1", {"anything": object()}, "object"),
    ],
)
def test_a_condition_without_a_value_is_one_typed_error_that_shows_it(text: str, state: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError, match="cannot be evaluated") as caught:
        compile_expression(text, CHANNELS)(state)
    assert text in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os') == 1",
        "style.__class__ == 1",
        "gate.__init__ == 1",
        "passages[0].__class__.__name__ == ''",
        "passages[0].replace(1) == 1",
        "weights.keys() == 1",
        "stable(answer).__class__ == 1",
        "stable.__globals__ == 1",
        "novelty(__builtins__) == 1.0",
    ],
)
def test_a_condition_cannot_reach_python(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, CHANNELS)


def test_the_attributes_of_an_object_that_is_anything_cannot_be_reached() -> None:
    expression = compile_expression("anything.__class__ == anything.real", CHANNELS)
    for value in (1, "text", [1], {"a": 1}):
        with pytest.raises(RunError, match="cannot be evaluated"):
            expression({"anything": value})


def test_all_names_are_read_however_many_there_are() -> None:
    channels = {f"c{number}": Channel(bool) for number in range(100)}
    expression = compile_expression(" || ".join(channels), channels)
    assert expression.reads == channels.keys()
    assert expression(dict.fromkeys(channels, False)) is False
    assert compile_expression("style == 'a' || " * 40 + "n == 1", CHANNELS).reads == {"style", "n"}


def test_a_name_bound_inside_a_condition_is_not_read_from_the_state() -> None:
    assert compile_expression("passages.exists(style, style.score > 0.5)", CHANNELS).reads == {"passages"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("x", 0.5), ("n", 3.0), ("x + novelty(passages)", 1.5), ("stable(passages) ? 1 : n + 1", 4.0), ("x / 0.0", float("inf"))],
)
def test_a_number_is_a_float_whatever_it_was_in_cel(text: str, value: float) -> None:
    found = compile_expression(text, CHANNELS, "number")({"x": 0.5, "n": 3, "passages": FOUND})
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x > 0.5", "should be a number, but is bool"),
        ("style", "should be a number, but is string"),
        ("anything", "should be a number, but is dyn"),
        ("n + x", "found no matching overload for '+' applied to '(int, double)'"),
    ],
)
def test_what_is_no_number_is_refused_where_one_is_needed(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, CHANNELS, "number")
    assert caught.value.faults[0].message == said


def test_a_number_that_is_none_is_an_error_of_the_run() -> None:
    with pytest.raises(RunError, match=r"'x / x' cannot be evaluated: nan"):
        compile_expression("x / x", CHANNELS, "number")({"x": 0.0})


def test_the_functions_that_errors_propose_are_those_of_cel() -> None:
    for form in FORMS.values():
        text = form.replace("value.field", "gate.retrieve").replace("list.", "passages.").replace("item, condition", "p, true")
        text = text.replace("item, value", "p, 1").replace("(value)", "(style)").replace("text.", "style.")
        text = re.sub("part|pattern", "style", text).replace("(text)", "(style)")
        compile_expression(f"type({text}) == type({text})", CHANNELS)
