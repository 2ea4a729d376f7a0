"""What a run keeps of values that are too large, and that no value is larger than what a plan counts on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.core.channels import MOST_ITEMS, OBJECT, STANDARD, Channel
from agentrag.core.errors import RunError
from agentrag.core.prompts import Prompts
from agentrag.core.rendering import as_data, render
from agentrag.core.sizes import Size, Sizes
from agentrag.core.types import Citation, Message, Passage
from agentrag.graph.values.bounds import bounded, is_enforced, merge, size_of, without_repeats

SOURCE = "Ein Ätna aus 𝕬𝖘𝖈𝖍𝖊, 灰の山。 " * 40
TEXTS = st.text(st.sampled_from("aä灰𝕬 \n<s>|[INST]"), max_size=80)
PASSAGES = st.builds(Passage, id=TEXTS, text=TEXTS, source=st.just("s"), title=TEXTS, heading=TEXTS)
MESSAGES = st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=TEXTS)


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("short", 8192, "short"),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("aä", 3, "aä"),
        ("aä", 2, "a"),
        ("灰灰", 5, "灰"),
        ("𝕬", 3, ""),
        ("a\udcff", 3, "a"),
    ],
)
def test_a_text_is_cut_between_two_characters(text: str, most: int, kept: str) -> None:
    assert bounded(Channel(str, bytes=most), text) == kept
    assert bounded(Channel(list[str], bytes=most), [text]) == [kept]
    assert bounded(Channel(list[Message], bytes=most), [Message("user", text)]) == [Message("user", kept)]


@pytest.mark.parametrize(
    "value",
    ["short", ["a", "b"], [Message("user", "hi")], [Passage("1", "t", "s", title="t", heading="h")], 7, 0.5, True, None, []],
    ids=repr,
)
def test_what_is_within_its_bounds_stays_the_same_object(value: Any) -> None:
    assert bounded(Channel(Any), value) is value


@pytest.mark.parametrize("most", [10, 100, 1000, 8192])
@pytest.mark.parametrize("start", [0, 17])
def test_a_cut_passage_still_is_the_slice_of_its_source(most: int, start: int) -> None:
    long = Passage("1", SOURCE[start:], "s", start, len(SOURCE), title="Ä" * 700, heading="灰" * 700)
    (cut,) = bounded(Channel(list[Passage], bytes=most), [long])
    assert cut.text == SOURCE[cut.start : cut.end]
    assert cut.start == start
    labels = [len(part.encode()) for part in (cut.title, cut.heading)]
    assert max(labels) <= min(512, most // 4)
    assert sum(labels) + len(cut.text.encode()) <= most
    assert cut.text or most < 20


def test_a_passage_with_a_long_title_alone_keeps_its_text_and_end() -> None:
    passage = Passage("1", "text", "s", 5, 9, title="t" * 600)
    assert bounded(Channel(list[Passage]), [passage]) == [replace(passage, title="t" * 512)]


def test_of_a_conversation_the_latest_turns_are_kept_and_of_other_lists_the_first_items() -> None:
    turns = [Message("user", str(number)) for number in range(5)]
    assert bounded(Channel(list[Message], max=2), turns) == turns[-2:]
    assert bounded(Channel(list[str], max=2), ["a", "b", "c"]) == ["a", "b"]
    assert len(bounded(Channel(list[int]), list(range(MOST_ITEMS + 1)))) == MOST_ITEMS


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (None, ["a", "a", "b"], ["a", "b"]),
        (["a"], ["b", "a", "c"], ["a", "b", "c"]),
        ([{"x": 1}], [{"x": 2}, {"x": 1}], [{"x": 1}, {"x": 2}]),
        ([1], [1.5, True], [1, 1.5]),
    ],
)
def test_appending_leaves_out_what_is_there(old: Any, new: Any, kept: Any) -> None:
    assert merge(Channel(list[Any], merge="append_new"), old, new) == kept


def test_of_passages_found_twice_the_first_stays() -> None:
    first, again, other = Passage("1", "t", "s", score=0.9), Passage("1", "u", "s"), Passage("1", "t", "s", collection="b")
    assert without_repeats([first, again, other]) == [first, other]


@given(
    value=st.one_of(
        TEXTS,
        st.lists(TEXTS, max_size=6),
        st.lists(PASSAGES, max_size=6),
        st.lists(MESSAGES, max_size=6),
        st.booleans(),
        st.floats(),
        st.integers(),
    ),
    items=st.integers(1, 4),
    most=st.integers(4, 60),
)
def test_no_value_is_larger_in_a_prompt_than_the_bound_that_a_plan_counts_on(value: Any, items: int, most: int) -> None:
    channel = Channel(_type_of(value), max=items if isinstance(value, list) else None, bytes=most)
    kept = bounded(channel, value)
    size = size_of(channel)
    assert len(render(kept).encode()) <= size.total
    if isinstance(kept, list):
        assert len(kept) <= size.items
    assert len(as_data(kept).encode()) <= Sizes({"x": size}, Prompts()).bytes("x")


def _type_of(value: Any) -> Any:
    return list[type(value[0]) if value else str] if isinstance(value, list) else type(value)  # type: ignore[misc]  # at run time


@pytest.mark.parametrize(
    ("kind", "enforced"),
    [
        *((kind, True) for kind in (str, list[Passage], float, OBJECT, list[OBJECT])),
        *((kind, False) for kind in (list[Citation], Size, dict[str, Size])),
    ],
)
def test_it_is_known_of_which_types_the_run_bounds_the_length(kind: Any, enforced: bool) -> None:
    assert is_enforced(Channel(kind)) is enforced


def test_the_standard_channels_have_the_bounds_of_their_declarations() -> None:
    assert size_of(STANDARD["question"]) == Size(1, 8192)
    assert size_of(STANDARD["passages"]).items == 50
    assert size_of(STANDARD["abstained"]) == Size(1, 5)


def test_an_object_is_as_large_as_its_json_and_refused_beyond_the_bound() -> None:
    small, large = {"né": [1, None]}, {"né": [1, None], "b": "xxxxxxxxxx"}
    assert render(small) == '{"né":[1,null]}'
    assert bounded(Channel(OBJECT, bytes=16), small) is small
    assert bounded(Channel(list[OBJECT], bytes=16), [small, small]) == [small, small]
    for channel, value in ((Channel(OBJECT, bytes=16), large), (Channel(list[OBJECT], bytes=16), [small, large])):
        with pytest.raises(RunError, match=r"an object has 33 bytes as JSON; at most 16 are allowed"):
            bounded(channel, value)
    assert len(render(large).encode()) <= size_of(Channel(OBJECT, bytes=33)).total
