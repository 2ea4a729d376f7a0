from __future__ import annotations

import pytest

from agentrag.core.types import Passage, SearchRequest
from agentrag.retrieval.collection import Chunk, NewDocument
from agentrag.retrieval.collections import Collections
from tests.retrieval.conftest import store

TEXT = "zero one two\n\nthree four five six seven eight nine"


def chunk(word: str, page: int | None = None, heading: str = "", known_gap: bool = True) -> Chunk:
    """The passage of TEXT that is one word; the white space before it is known."""
    start = TEXT.index(word)
    gap = TEXT[len(TEXT[:start].rstrip()) : start] if known_gap else ""
    return Chunk(word, start, start + len(word), page, heading, gap)


async def widened(collections: Collections, chunks: list[Chunk], query: str, by: int, k: int = 1) -> list[Passage]:
    async with collections.in_memory("c") as collection:
        await store(collection, [(NewDocument("/d", "1"), chunks), (NewDocument("/e", "1"), [Chunk("other", 0, 5)])])
        return await collection.search(SearchRequest(query, k=k, mode="lexical", neighbours=by))


WORDS = TEXT.split()


@pytest.mark.parametrize(
    ("query", "by", "wanted"),
    [
        ("three", 1, ["two\n\nthree four"]),
        ("three", 2, ["one two\n\nthree four five"]),
        ("zero", 1, ["zero one"]),
        ("nine", 2, ["seven eight nine"]),
        ("three", 99, [TEXT]),
        ("zero nine", 1, ["zero one", "eight nine"]),
        ("three five", 1, ["two\n\nthree four five six"]),
        ("three six", 1, ["two\n\nthree four five six seven"]),
        ("three seven", 1, ["two\n\nthree four", "six seven eight"]),
        ("other", 3, ["other"]),
    ],
)
async def test_a_hit_is_widened_and_what_touches_is_joined(
    collections: Collections, query: str, by: int, wanted: list[str]
) -> None:
    found = await widened(collections, [chunk(word) for word in WORDS], query, by, k=9)
    assert sorted(passage.text for passage in found) == sorted(wanted)
    for passage in found:
        if passage.source == "/d":
            assert passage.text == TEXT[passage.start : passage.end]


async def test_a_passage_never_reaches_over_text_that_is_not_stored(collections: Collections) -> None:
    chunks = [chunk("one"), chunk("two"), chunk("three", known_gap=False), chunk("four")]
    assert [p.text for p in await widened(collections, chunks, "two", 2)] == ["one two"]
    assert [p.text for p in await widened(collections, chunks, "three", 2)] == ["three four"]


async def test_hits_on_both_sides_of_a_gap_stay_two(collections: Collections) -> None:
    chunks = [chunk("two"), chunk("three", known_gap=False)]
    found = await widened(collections, chunks, "two three", 1, k=2)
    assert sorted(p.text for p in found) == ["three", "two"]


async def test_passages_that_overlap_are_joined_without_repeating(collections: Collections) -> None:
    chunks = [Chunk(TEXT[start : start + 12], start, start + 12) for start in (0, 8, 16, 24)]
    (found,) = await widened(collections, chunks, "zero", 2)
    assert (found.text, found.start, found.end) == (TEXT[:28], 0, 28)


async def test_a_passage_stays_on_its_page(collections: Collections) -> None:
    chunks = [chunk("one", page=1), chunk("two", page=1), chunk("three", page=2), chunk("four", page=2)]
    (found,) = await widened(collections, chunks, "three", 3)
    assert (found.text, found.page) == ("three four", 2)


async def test_the_heading_is_what_all_pieces_stand_under(collections: Collections) -> None:
    chunks = [chunk("one", heading="A > B"), chunk("two", heading="A > C"), chunk("three", heading="A > C > D")]
    assert (await widened(collections, chunks, "three", 1))[0].heading == "A > C"
    assert (await widened(collections, chunks, "three", 2))[0].heading == "A"


async def test_joined_hits_have_the_score_of_the_best(collections: Collections) -> None:
    chunks = [chunk(word) for word in WORDS]
    alone = await widened(collections, chunks, "three five five", 0, k=2)
    (joined,) = await widened(collections, chunks, "three five five", 1, k=2)
    assert joined.score == alone[0].score
