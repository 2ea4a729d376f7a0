"""Sentences are exact slices, and none is a whole table."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.retrieval.sentences import LONGEST, sentences


@given(st.text())
def test_spans_are_slices_in_order_that_hold_all_that_is_not_white_space(text: str) -> None:
    spans = sentences(text)
    assert all(text[span.start : span.end] == span.text == span.text.strip() for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert "".join("".join(span.text.split()) for span in spans) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith went to Washington, D.C. on Jan. 5. He met Mr. Bean.", 2),
        ("The U.S. Army paid.\n\nNext paragraph", 2),
        ("- one\n- two", 2),
        ("", 0),
        (" \n ", 0),
    ],
)
def test_abbreviations_do_not_end_a_sentence_and_list_items_do(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_a_long_run_of_lines_is_cut_into_its_lines() -> None:
    table = "\n".join(f"Diving {n} m/s wave height 0.5 m and so on" for n in range(20))
    assert len(table) > LONGEST
    assert [span.text for span in sentences(table)] == table.splitlines()
