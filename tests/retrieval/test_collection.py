from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collection import Chunk, Collection, NewDocument
from agentrag.retrieval.collections import Collections
from tests.retrieval.conftest import ISLES, document, store, texts, words


@pytest.mark.parametrize("mode", ["dense", "lexical", "rrf", "convex"])
async def test_every_mode_finds_the_passage_that_holds_the_words(isles: Collection, mode: Any) -> None:
    assert (await texts(isles, "white eagles", k=1, mode=mode)) == ["Mull has white eagles."]


async def test_a_passage_knows_where_it_comes_from(isles: Collection) -> None:
    new = NewDocument("/book.pdf", "1", title="Lamps", record="b7", metadata={"lang": "en"})
    await store(isles, [(new, [Chunk("Lamps are red.", 3, 17, page=4, heading="Colours > Red")])])
    (passage,) = await isles.search(SearchRequest("lamps red", k=1))
    assert passage.score > 0
    assert passage.id
    assert replace(passage, id="", score=0.0) == replace(
        passage,
        id="",
        score=0.0,
        text="Lamps are red.",
        source="/book.pdf",
        start=3,
        end=17,
        title="Lamps",
        page=4,
        heading="Colours > Red",
        collection="isles",
        record="b7",
        metadata={"lang": "en"},
    )


async def test_title_and_heading_are_searched_with_the_text(isles: Collection) -> None:
    await store(isles, [(NewDocument("/t", "1", title="Zeppelin"), [Chunk("It flies.", 0, 9, heading="Quokka")])])
    for query in ("zeppelin", "quokka"):
        assert (await texts(isles, query, k=1, mode="lexical")) == ["It flies."]


@pytest.mark.parametrize("mode", ["dense", "lexical", "rrf", "convex"])
@pytest.mark.parametrize(
    ("where", "sources"),
    [
        ({"lang": "de"}, {"/isles/sylt"}),
        ({"year": {"$gte": 1995}}, {"/isles/skye", "/isles/mull"}),
        ({"source": "/isles/mull"}, {"/isles/mull"}),
        ({"lang": "en", "year": {"$lt": 2000}}, {"/isles/skye"}),
        ({"lang": "fr"}, set()),
    ],
)
async def test_where_restricts_every_mode(isles: Collection, mode: Any, where: dict[str, Any], sources: set[str]) -> None:
    request = SearchRequest("mountains eagles ferry there train bridge hat", k=9, mode=mode, where=where)
    assert {passage.source for passage in await isles.search(request)} == sources


async def test_a_page_and_a_title_can_be_asked_for(isles: Collection) -> None:
    pages = [Chunk("one lamp", 0, 8, page=1), Chunk("two lamps", 9, 18, page=2)]
    await store(isles, [(NewDocument("/p", "1", title="P"), pages)])
    for mode in ("dense", "lexical"):
        where = {"title": "P", "page": 2}
        assert (await texts(isles, "lamp", mode=mode, where=where)) == ["two lamps"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SearchRequest("x", k=0), "k >= 1"),
        (SearchRequest("x", neighbours=-1), "neighbours >= 0"),
        (SearchRequest("x", weight=1.5), r"weight in 0\.\.1"),
        (SearchRequest("x", mode="bm25"), "Unknown search mode 'bm25'"),  # type: ignore[arg-type]  # the wrong mode is the case
        (SearchRequest("x", where={"a": {"$like": 1}}), "Unknown operator"),
    ],
)
async def test_a_search_that_means_nothing_is_refused(isles: Collection, request_: SearchRequest, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        await isles.search(request_)


@pytest.mark.parametrize("query", ["", "   ", "the of and", "!?", "zzzz"])
async def test_a_query_without_known_words_is_no_error(isles: Collection, query: str) -> None:
    assert await isles.search(SearchRequest(query, mode="lexical")) == []
    assert len(await isles.search(SearchRequest(query, k=3))) == 3


async def test_the_weight_decides_between_words_and_meaning(isles: Collection) -> None:
    query = "eagle sails sails sails"  # stemmed, "eagle" only matches "eagles" by words; "sails" matches both ways
    only_words = await isles.search(SearchRequest(query, k=9, weight=1.0))
    only_meaning = await isles.search(SearchRequest(query, k=9, weight=0.0))
    lexical = await isles.search(SearchRequest(query, k=9, mode="lexical"))
    dense = await isles.search(SearchRequest(query, k=9, mode="dense"))
    assert [passage.id for passage in only_words][: len(lexical)] == [passage.id for passage in lexical]
    assert [passage.id for passage in only_meaning] == [passage.id for passage in dense]


async def test_an_empty_collection_finds_nothing_and_is_whole(collections: Collections) -> None:
    for collection in (collections.open("empty", write=True), collections.in_memory("empty")):
        async with collection:
            assert [await texts(collection, "x", mode=mode) for mode in ("dense", "lexical", "rrf", "convex")] == [[]] * 4
            assert collection.verify() == []
            assert collection.documents() == {}


async def test_both_kinds_of_collection_return_the_same(collections: Collections) -> None:
    async with collections.in_memory("a") as memory, collections.open("a", write=True) as disk:
        for collection in (memory, disk):
            await store(collection, ISLES)
        assert memory.version == disk.version
        for mode in ("dense", "lexical", "rrf", "convex"):
            request = SearchRequest("a ferry there", k=6, mode=mode)
            here, there = await memory.search(request), await disk.search(request)
            assert [replace(passage, score=0.0) for passage in here] == [replace(passage, score=0.0) for passage in there]
            assert [passage.score for passage in here] == pytest.approx([passage.score for passage in there], abs=1e-5)


async def test_the_version_follows_from_the_content_and_not_from_its_history(collections: Collections) -> None:
    async with collections.in_memory("a") as one, collections.in_memory("b") as other:
        await store(one, ISLES)
        await store(other, [*ISLES[::-1], document("/isles/more", "More.")])
        assert one.version != other.version
        before = other.version
        other.remove(["/isles/more"])
        assert one.version == other.version != before
        request = SearchRequest("there", k=9)
        assert [p.id for p in await one.search(request)] == [p.id for p in await other.search(request)]
        await store(one, [document("/isles/mull", "Mull has white eagles.", "A ferry sails there!", lang="en", year=2001)])
        assert one.version != other.version


async def test_documents_tells_what_is_stored(isles: Collection) -> None:
    held = isles.documents()["/isles/skye"]
    assert (held.source, held.fingerprint, held.title, held.passages, held.characters) == ("/isles/skye", "1", "", 2, 52)
    assert list(isles.documents()) == ["/isles/mull", "/isles/skye", "/isles/sylt"]


async def test_a_document_written_again_takes_the_place_of_the_old_one(isles: Collection) -> None:
    await store(isles, [document("/isles/mull", "Mull has otters.", fingerprint="2")])
    assert [passage.text for passage in await isles.search(SearchRequest("mull", k=9, where={"source": "/isles/mull"}))] == [
        "Mull has otters."
    ]
    assert isles.documents()["/isles/mull"].fingerprint == "2"
    assert isles.verify() == []


async def test_a_document_written_again_unchanged_is_there_once(isles: Collection) -> None:
    version = isles.version
    await store(isles, ISLES)
    assert len(await isles.search(SearchRequest("there", k=99))) == 6
    assert isles.version == version
    assert isles.verify() == []


async def test_removed_documents_are_gone_from_every_mode(isles: Collection) -> None:
    isles.remove(["/isles/mull", "/never/there"])
    for mode in ("dense", "lexical", "rrf", "convex"):
        request = SearchRequest("eagles ferry there", k=9, mode=mode)
        assert "/isles/mull" not in {passage.source for passage in await isles.search(request)}
    assert sorted(isles.documents()) == ["/isles/skye", "/isles/sylt"]
    assert isles.verify() == []


async def test_a_closed_collection_says_so(collections: Collections) -> None:
    collection = collections.in_memory("c")
    collection.close()
    collection.close()
    with pytest.raises(StoreError, match="Collection 'c' is closed"):
        await collection.search(SearchRequest("x"))


async def test_rebuild_needs_no_model(collections: Collections, settings: Any) -> None:
    async with collections.open("isles", write=True) as collection:
        await store(collection, ISLES)
    async with Collections(settings, None).open("isles", write=True) as collection:
        await collection.rebuild()
        assert collection.verify() == []
        assert await texts(collection, "eagles", k=1, mode="lexical") == ["Mull has white eagles."]
        with pytest.raises(StoreError, match="without an embedder"):
            await collection.search(SearchRequest("eagles"))
    async with collections.open("isles") as collection:
        assert await texts(collection, "white eagles", k=1, mode="dense") == ["Mull has white eagles."]


@pytest.mark.parametrize("share", [2, 900], ids=["few", "many"])
async def test_where_finds_the_nearest_of_few_and_of_many(collections: Collections, share: int) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document(f"/{i}", words(i), part="a" if i % 1000 < share else "b") for i in range(1300)])
        for wanted in (0, 1000, 1001):
            request = SearchRequest(words(wanted), k=3, mode="dense", where={"part": "a"})
            found = await collection.search(request)
            assert found[0].source == f"/{wanted}"
            assert found[0].score == pytest.approx(1.0, abs=1e-5)
            assert {passage.metadata["part"] for passage in found} == {"a"}
