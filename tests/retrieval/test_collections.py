from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentrag.core.errors import CollectionBusyError, StoreError, UnknownCollectionError
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.retrieval.conftest import document, store


async def test_a_collection_is_found_again_with_what_was_stored(collections: Collections, settings: Settings) -> None:
    async with collections.open("isles", write=True) as collection:
        await store(collection, [document("/skye", "Skye is black.")])
        version = collection.version
    async with Collections(settings, WordEmbedder()).open("isles") as again:
        assert again.version == version
        assert [passage.text for passage in await again.search(SearchRequest("black"))] == ["Skye is black."]


def test_names_lists_what_exists(collections: Collections, settings: Settings) -> None:
    assert collections.names() == []
    for name in ("b.2", "a"):
        collections.open(name, write=True).close()
    (settings.home / "collections" / "not-one").mkdir()
    assert collections.names() == ["a", "b.2"]


def test_an_unknown_collection_is_refused_with_the_nearest_and_how_to_make_it(collections: Collections) -> None:
    collections.open("handbook", write=True).close()
    message = r"Unknown collection 'handbok'\. Did you mean 'handbook'\? .* agentrag ingest PATH --collection handbok"
    with pytest.raises(UnknownCollectionError, match=message):
        collections.open("handbok")
    assert collections.names() == ["handbook"]


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a/b", ".a", "a.", "-a", "a" * 65, "ä", "a\n"])
@pytest.mark.parametrize("way", ["read", "write", "memory", "delete", "describe"])
def test_a_name_that_cannot_be_a_folder_everywhere_is_refused(collections: Collections, name: str, way: str) -> None:
    ways: dict[str, Any] = {
        "read": collections.open,
        "write": lambda name: collections.open(name, write=True),
        "memory": collections.in_memory,
        "delete": collections.delete,
        "describe": collections.describe,
    }
    with pytest.raises(StoreError, match="cannot be the name of a collection: it takes 1 to 64 lower-case letters"):
        ways[way](name)


async def test_another_embedder_is_refused_with_what_to_do(collections: Collections, settings: Settings) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/a", "text")])

    class Other(WordEmbedder):
        name = "other"

    for write in (False, True):
        with pytest.raises(StoreError, match=r"made with the embedder 'words', the settings give 'other'\. Set `embedder:`"):
            Collections(settings, Other()).open("c", write=write)
    collections.open("c", write=True).close()  # and nothing stays locked


async def test_describe_counts_what_is_complete(collections: Collections) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/a", "one", "two"), document("/b", "three")])
        about = collections.describe("c")  # beside a writer
    assert (about.name, about.documents, about.passages, about.embedder) == ("c", 2, 3, "words")
    assert about.size > 10_000
    with pytest.raises(UnknownCollectionError):
        collections.describe("d")


async def test_delete_removes_all_files(collections: Collections, settings: Settings) -> None:
    async with collections.open("c", write=True) as collection:
        await store(collection, [document("/a", "one")])
    collections.delete("c")
    assert list((settings.home / "collections").iterdir()) == []
    with pytest.raises(UnknownCollectionError):
        collections.delete("c")
    async with collections.open("c", write=True) as collection:  # the name is free again, without old content
        assert collection.documents() == {}
        assert await collection.search(SearchRequest("one")) == []


async def test_a_collection_in_use_is_not_deleted(collections: Collections) -> None:
    async with collections.open("c", write=True):
        with pytest.raises(CollectionBusyError):
            collections.delete("c")
    assert collections.names() == ["c"]


async def test_a_collection_open_for_reading_is_not_written(collections: Collections) -> None:
    collections.open("c", write=True).close()
    async with collections.open("c") as collection:
        with pytest.raises(StoreError, match="open for reading"):
            collection.writer()
        with pytest.raises(StoreError, match="open for reading"):
            collection.remove(["/a"])


def test_a_collection_of_a_later_format_is_refused(collections: Collections, settings: Settings) -> None:
    import sqlite3

    collections.open("c", write=True).close()
    connection = sqlite3.connect(settings.home / "collections" / "c" / "collection.sqlite")
    with connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    connection.close()
    with pytest.raises(StoreError, match="has format 99; this version reads format 1"):
        collections.open("c")


async def test_a_home_that_cannot_be_written_is_a_store_error(settings: Settings) -> None:
    settings.home.parent.mkdir(parents=True, exist_ok=True)
    settings.home.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be read or written"):
        Collections(settings, WordEmbedder()).open("c", write=True)


async def joined_isles(collections: Collections) -> Any:
    for name, texts in {"north": ["red lamp", "red red boat"], "south": ["red lamp post", "blue sea"]}.items():
        async with collections.open(name, write=True) as collection:
            await store(collection, [document(f"/{name}/{i}", text) for i, text in enumerate(texts)])
    return collections.joined(["north", "south", "north"])


@pytest.mark.parametrize("mode", ["dense", "lexical", "rrf", "convex"])
async def test_joined_collections_answer_as_one_and_passages_name_theirs(collections: Collections, mode: Any) -> None:
    joined = await joined_isles(collections)
    assert joined.name == "north+south"
    found = await joined.search(SearchRequest("red lamp", k=3, mode=mode))
    assert (found[0].text, found[0].collection) == ("red lamp", "north")
    assert {passage.collection for passage in found} == {"north", "south"}
    assert len(found) == 3
    assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
    joined.close()
    joined.close()


async def test_joined_dense_searches_merge_by_cosine(collections: Collections) -> None:
    joined = await joined_isles(collections)
    request = SearchRequest("blue sea", k=4, mode="dense")
    found = await joined.search(request)
    assert (found[0].text, found[0].score) == ("blue sea", pytest.approx(1.0, abs=1e-5))
    assert len(await joined.search(replace(request, k=1))) == 1
    joined.close()


async def test_the_version_of_joined_collections_changes_with_each_of_them(collections: Collections) -> None:
    joined = await joined_isles(collections)
    before = joined.version
    joined.close()
    async with collections.open("south", write=True) as collection:
        await store(collection, [document("/more", "more")])
    again = collections.joined(["north", "south"])
    assert again.version != before
    again.close()


async def test_joining_an_unknown_collection_leaves_nothing_open(collections: Collections) -> None:
    collections.open("a", write=True).close()
    with pytest.raises(UnknownCollectionError):
        collections.joined(["a", "b"])
    collections.open("a", write=True).close()
