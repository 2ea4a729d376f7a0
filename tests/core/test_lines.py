"""Lists as small models write them."""

import pytest

from agentrag.core.lines import alike, listed


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("How tall is it?\nHow old is it?", ["How tall is it?", "How old is it?"]),
        ("1. one thing\n2) two things\n(3) three\n[4] four", ["one thing", "two things", "three", "four"]),
        ("- one\n* two\n\u2022 three\n\u2013 four\n## five", ["one", "two", "three", "four", "five"]),
        ("a) one\nb) two", ["one", "two"]),
        ('"one"\n\u201ctwo\u201d\n`three`\n**four**', ["one", "two", "three", "four"]),
        ('1. "one"\n- **two**', ["one", "two"]),
        ("Query 1: one\nSub-question 2: two\nQ3: three\nsearch query: four", ["one", "two", "three", "four"]),
        ('[\n  "one",\n  "two"\n]', ["one", "two"]),
        ("```text\n```\none", ["text", "one"]),
        ("Here are three queries:\n\none\n", ["one"]),
        ("one\nOne.\n  ONE ? \ntwo", ["one", "two"]),
        ("...\n---\n?\n", []),
        ("", []),
        (
            "4 knots inside\n1881: the lamp\n-5 degrees\nA. Fjell's term",
            ["4 knots inside", "1881: the lamp", "-5 degrees", "A. Fjell's term"],
        ),
    ],
    ids=[
        "plain",
        "numbers",
        "bullets",
        "letters",
        "quotes",
        "both",
        "labels",
        "json",
        "fence",
        "announced",
        "repeats",
        "nothing",
        "empty",
        "what looks like a mark but is none",
    ],
)
def test_items_come_without_what_frames_them(text: str, items: list[str]) -> None:
    assert listed(text) == items


def test_what_was_said_before_is_left_out_whatever_its_punctuation() -> None:
    assert listed("Why?\nwhy\nHow?", without=["WHY"]) == ["How?"]


def test_no_two_items_are_alike() -> None:
    items = listed("\n".join(["a", "b", "A!", "b;", "c"]))
    assert len({alike(item) for item in items}) == len(items) == 3
