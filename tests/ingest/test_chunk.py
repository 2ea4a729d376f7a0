"""Passages: exact, complete, in order, small enough, and cut where a reader would cut."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.ingest.chunk import Limit, passages
from agentrag.ingest.documents import Block, Part, placed
from agentrag.ingest.loaders.markdown import headings, parts
from agentrag.retrieval.records import Chunk


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    """A count that does not add up over words, as byte-pair tokenizers have it."""
    return len(re.findall(r"\w{1,3}|[^\w\s]", text)) + text.count("  ")


SENTENCES = st.lists(
    st.sampled_from(
        ["One two.", "Who? ", "A much longer sentence, with a comma in it.", "\n", "\n\n", " ", "x" * 50, "第一句。"]
    )
)
PARTS = st.lists(
    st.builds(
        Part,
        SENTENCES.map(" ".join) | st.text(max_size=200) | st.text(" \n.aé", max_size=300),
        st.none() | st.integers(1, 2),
        st.sampled_from(["", "A", "A > B", "A > C", "D"]),
    ),
    max_size=6,
)


def cut(text: str, tokens: int = 10) -> list[str]:
    return [chunk.text for chunk in passages(placed([Part(text)]), Limit(tokens, words))]


@given(PARTS, st.integers(3, 30), st.sampled_from([words, letters, len]))
def test_every_visible_character_is_in_exactly_one_passage_in_order_and_within_the_limit(
    parts: list[Part], tokens: int, count: Callable[[str], int]
) -> None:
    blocks = list(placed(parts))
    text = "".join(block.text for block in blocks)
    limit = Limit(tokens, count)
    chunks = list(passages(iter(blocks), limit))
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
    assert all(a.end + len(b.before) == b.start and text[a.end : b.start] == b.before for a, b in pairwise(chunks))
    gaps = [0, *(place for chunk in chunks for place in (chunk.start, chunk.end)), len(text)]
    assert not "".join(text[a:b] for a, b in zip(gaps[::2], gaps[1::2], strict=True)).strip()
    assert all(limit.holds(chunk.text) for chunk in chunks)
    assert all(chunk.text.strip() for chunk in chunks)
    for chunk in chunks:
        inside = [block for block in blocks if block.start < chunk.end and chunk.start < block.end and _visible(block, chunk)]
        assert {block.page for block in inside} == {chunk.page}
        assert len({block.heading.split(" > ")[0] for block in inside}) == 1
        assert chunk.heading in {block.heading for block in inside}


def _visible(block: Block, chunk: Chunk) -> bool:
    """Whether the part of the block inside the chunk holds anything but white space."""
    return bool(block.text[max(0, chunk.start - block.start) : chunk.end - block.start].strip())


def test_passages_end_at_sentence_ends_even_where_lines_end_elsewhere() -> None:
    text = "The first sentence goes over\ntwo lines of text. The second one does\nso as well, it seems. The third is short."
    assert cut(text, 12) == [
        "The first sentence goes over\ntwo lines of text.",
        "The second one does\nso as well, it seems.",
        "The third is short.",
    ]


def test_paragraphs_stay_whole_and_share_a_passage_where_they_fit() -> None:
    assert cut("a b c d\n\ne f g h\n\ni j k l m n o", 10) == ["a b c d\n\ne f g h", "i j k l m n o"]


def test_an_overlong_sentence_is_cut_between_words() -> None:
    assert [len(text.split()) for text in cut(" ".join(["word"] * 25), 10)] == [10, 10, 5]


def test_a_word_longer_than_any_passage_is_cut() -> None:
    texts = cut("x" * 100_000, 10)
    assert "".join(texts) == "x" * 100_000
    assert max(map(len, texts)) <= 160


def test_a_small_rest_joins_or_shares_with_the_passage_before_it() -> None:
    sentences = "One two three four five six seven. Eight nine ten eleven twelve thirteen. Fourteen fifteen sixteen. Seventeen."
    assert cut(sentences, 16) == [
        "One two three four five six seven.",
        "Eight nine ten eleven twelve thirteen. Fourteen fifteen sixteen. Seventeen.",
    ]
    assert cut("One two three. Four five.\n\nSix.", 5) == ["One two three. Four five.", "Six."]


def test_a_heading_begins_a_passage_unless_what_is_before_it_is_small() -> None:
    parts = [
        Part("# Manual\n\n", heading="Manual"),
        Part("## Start\n\nTurn the key to the right, then wait. ", heading="Manual > Start"),
        Part("## Stop\n\nTurn the key to the left.", heading="Manual > Stop"),
        Part("# Annex\n\nNone.", heading="Annex"),
    ]
    found = [(chunk.heading, chunk.text.split("\n")[0]) for chunk in passages(placed(parts), Limit(40, words))]
    assert found == [("Manual > Start", "# Manual"), ("Manual > Stop", "## Stop"), ("Annex", "# Annex")]


def test_a_heading_takes_the_first_sentences_of_a_paragraph_that_does_not_fit_with_it() -> None:
    assert cut("## Bicycles\n\n" + "Each of them costs four euros. " * 5, 30) == [
        "## Bicycles\n\n" + " ".join(["Each of them costs four euros."] * 4),
        "Each of them costs four euros.",
    ]


def test_a_sentence_that_ends_a_page_does_not_join_the_next_page() -> None:
    parts = [Part("It ends here", 1), Part("and goes on.", 2)]
    assert [(chunk.page, chunk.text) for chunk in passages(placed(parts), Limit(40, words))] == [
        (1, "It ends here"),
        (2, "and goes on."),
    ]


def test_text_in_many_blocks_is_cut_as_text_in_one() -> None:
    text = "One two three. Four five six seven.\n\nEight nine. Ten eleven twelve thirteen fourteen. " * 30
    pieces = [Part(piece) for piece in re.findall(r".*?\. ?\n*", text, re.DOTALL)]
    whole = [(chunk.start, chunk.end) for chunk in passages(placed([Part(text)]), Limit(12, words))]
    pieced = [(chunk.start, chunk.end) for chunk in passages(placed(pieces), Limit(12, words))]
    assert len(pieces) > 100
    assert pieced[0] == whole[0]
    assert pieced[-1][1] == whole[-1][1]


@pytest.mark.parametrize("text", ["", " \n\n \t"], ids=["nothing", "blanks"])
def test_no_text_gives_no_passage(text: str) -> None:
    assert cut(text) == []


def test_real_prose_is_cut_at_sentence_ends() -> None:
    text = (Path(__file__).parents[2] / "samples" / "history.md").read_text(encoding="utf-8")
    texts = [chunk.text for chunk in passages(placed(parts(text, headings(text))), Limit(60, words))]
    assert len(texts) > 12
    assert [text[-20:] for text in texts if text[-1] not in ".!?|"] == []
