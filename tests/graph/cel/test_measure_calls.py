"""Calls of measures in expressions."""

from __future__ import annotations

import re

import pytest
from cel_expr_python import cel
from hypothesis import assume, given
from hypothesis import strategies as st

from agentrag.core.channels import STANDARD, Channel
from agentrag.core.errors import RunError
from agentrag.core.types import Passage
from agentrag.graph.cel.expressions import ExpressionError, compile_expression
from agentrag.graph.cel.faults import Fault
from agentrag.graph.cel.text import words

CHANNELS = {
    **STANDARD,
    "style": Channel(str),
    "n": Channel(int),
    "handles": Channel(set[int]),
    "type": Channel(str),
}
FOUND = [Passage("1", "text", "s"), Passage("2", "text", "s")]
ROUNDS = [{"answer": "Lyon.", "passages": FOUND[:1]}, {"answer": "Paris", "passages": FOUND[:1]}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("stable(answer)", True),
        ("!stable(passages) && novelty(passages) == 0.5", True),
        ("novelty ( // of what\n passages\n) < 0.5 || n == 2", True),
        ("passages.exists(p, novelty(passages) > 0.4 && p.id == '1')", True),
        ("true == stable(answer)in [true]", True),
        ("stable(answer) ? n > 1 : agreement(answer) > 2.0", True),
        ("style == 'stable(answer)' && stable(answer)", True),
        ("stable && stable(stable)", True),
        ("size > size(answer) - 3", False),
    ],
)
def test_a_measure_has_its_value_wherever_it_stands(text: str, value: bool) -> None:
    channels = {**CHANNELS, "stable": Channel(bool), "size": Channel(int)}
    state = {"answer": "paris!", "passages": FOUND, "n": 2, "style": "stable(answer)", "stable": True, "size": 3}
    rounds = [{**past, "stable": True} for past in ROUNDS]
    assert compile_expression(text, channels)(state, rounds) is value


@pytest.mark.parametrize(
    "literal",
    [
        "'stable(answer)'",
        '"stable(answer)"',
        "r'stable(answer)'",
        'R"stable(answer)"',
        "'''stable(answer)'''",
        '"""stable(answer)"""',
        "r'''stable(answer)'''",
        "'' + 'stable(answer)' + ''",
        "string(b'stable(answer)')",
        'string(bR"""stable(answer)""")',
        "'stable(answer)' // stable(answer",
    ],
)
def test_what_looks_like_a_measure_in_a_string_or_comment_is_text(literal: str) -> None:
    expression = compile_expression(f"style == {literal}", CHANNELS)
    assert expression.measured == frozenset()
    assert expression({"style": "stable(answer)"}) is True


def test_an_escaped_quote_does_not_end_a_string() -> None:
    for text in (r"style == '\' stable(answer)'", r'style == """\""" stable(answer)"""'):
        assert compile_expression(text, CHANNELS).measured == frozenset()
    assert compile_expression(r"style == r'\d' && stable(answer)", CHANNELS).measured == {"answer"}


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("n > 1 && stable()", 9, "stable() takes the name of a channel"),
        ("stable(passages[0])", 0, "stable() takes the name of a channel"),
        ("stable('answer')", 0, "stable() takes the name of a channel"),
        ("stable(answer, style)", 0, "stable() takes the name of a channel"),
        ("stable((answer))", 0, "stable() takes the name of a channel"),
        ("answer.stable()", 7, "stable() takes the name of a channel"),
        (".stable(answer)", 1, "stable() takes the name of a channel"),
        ("stable || n == 1", 0, "stable() takes the name of a channel"),
        ("n == 1 || stable(answr)", 17, "Unknown channel 'answr'. Did you mean 'answer'?"),
        ("novelty( n ) > 0.5", 9, "novelty() takes str or list[Any], but channel 'n' is int"),
        ("agreement(passages) > 0.5", 10, "agreement() takes str or list[str], but channel 'passages' is list[Passage]"),
        ("novelty(passages) > 1", 18, "found no matching overload for '>' applied to '(double, int)'"),
        ("novelty(\npassages) || n == 1", 19, "found no matching overload for '||' applied to '(double, bool)'"),
        ("passages.exists(answer, stable(answer))", 31, "'answer' is an item of a list here"),
        ("n == 1 novelty(passages)", 7, "Syntax error: extraneous input 'novelty(passages)'"),
        ("novelty(passages)", 0, "should be true or false, but is double"),
        ("has(novelty(passages))", 4, "has() argument must be a field selection"),
    ],
)
def test_a_wrong_measure_call_is_refused_with_the_place_of_its_fault(text: str, at: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, CHANNELS)
    [fault] = caught.value.faults
    assert fault.message.startswith(said)
    assert fault.offset == at


def test_faults_of_measures_are_told_with_all_others() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("zork || stable(answr) || novelty(n) > 0.5 || stable() || n > 'a'", CHANNELS)
    assert [fault.offset for fault in caught.value.faults] == [0, 15, 33, 45, 59]


def test_what_stands_for_a_measure_inside_cannot_be_named() -> None:
    with pytest.raises(ExpressionError, match="Unknown name 'stableXanswer'"):
        compile_expression("stable(answer) || stableXanswer", CHANNELS)


def test_an_expression_says_what_it_reads_and_what_it_measures() -> None:
    expression = compile_expression("stable(answer) || novelty(passages) < n + 0.5 - n", {**CHANNELS, "n": Channel(float)})
    assert expression.reads == {"answer", "passages", "n"}
    assert expression.measured == {"answer", "passages"}


def test_the_values_of_measures_are_told_by_their_text() -> None:
    expression = compile_expression("stable( answer ) || novelty(passages) < 0.2 || novelty(passages) > 2.0", CHANNELS)
    state = {"answer": "paris", "passages": FOUND}
    assert expression.measures(state, ROUNDS) == {"stable(answer)": True, "novelty(passages)": 0.5}
    assert expression.measures(state) == {"stable(answer)": False, "novelty(passages)": 1.0}
    assert compile_expression("n == 1", CHANNELS).measures({"n": 1}) == {}


def test_a_round_before_a_channel_was_written_does_not_count() -> None:
    expression = compile_expression("novelty(passages) == 1.0", CHANNELS)
    assert expression({"passages": FOUND}, [{}, {}]) is True
    assert expression({"passages": FOUND}, [{}, {"passages": FOUND}]) is False


def test_a_measure_looks_at_channels_that_conditions_cannot_read() -> None:
    expression = compile_expression("stable(handles) && stable(type)", CHANNELS)
    state = {"handles": {1, 2}, "type": "a"}
    assert expression(state, [state]) is True


def test_a_channel_that_is_missing_under_a_measure_is_an_error_of_the_run() -> None:
    with pytest.raises(RunError, match=r"'stable\(answer\)' cannot be evaluated: 'answer'"):
        compile_expression("stable(answer)", CHANNELS)({})


PIECES = [
    *"()[].,'\"!?:\\\n ",
    " || ",
    " && ",
    " == ",
    "stable",
    "novelty",
    "(answer)",
    "answer",
    "passages",
    "r'",
    "//",
    "'''",
    "0.5",
]


def faults(text: str) -> tuple[Fault, ...]:
    try:
        expression = compile_expression(text, CHANNELS)
    except ExpressionError as error:
        return error.faults or (Fault(-1, "none is told"),)
    return () if expression.measured <= expression.reads else (Fault(-1, "measures what it does not read"),)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_an_expression_or_located_faults(text: str) -> None:
    assert all(0 <= fault.offset < max(len(text), 1) for fault in faults(text))


INSIDE = st.lists(st.sampled_from(["'", '"', "\\", "\\'", "\\n", "//", " ", "stable(a)", "`", "r"]), max_size=5).map("".join)
QUOTED = st.sampled_from(["'{}'", '"{}"', "'''{}'''", '"""{}"""', "r'{}'", 'R"""{}"""', "string(b'{}')", "{}"])
TERMS = st.builds(lambda form, inside: form.format(inside), QUOTED, INSIDE)
ANY = cel.NewEnv(variables={"a": cel.Type.DYN})


@given(st.lists(TERMS, min_size=1, max_size=3).map(" + ".join))
def test_words_are_told_apart_as_cel_does(text: str) -> None:
    try:
        ANY.compile(text)
    except RuntimeError as error:
        report = str(error)
        assume("Syntax error" not in report and "Invalid" not in report)
        columns = re.findall(r"<input>:1:(\d+): undeclared reference to 'stable'", report)
    else:
        columns = []
    calls = [word.start + len("stable") for word in words(text) if word.text == "stable"]
    assert [int(column) - 1 for column in columns] == calls
