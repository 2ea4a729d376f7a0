"""Files of a collection damaged as disks, people and other programs damage them."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrag.core.errors import CollectionDamagedError, StoreError
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.retrieval.conftest import document, store, words

COUNT = 1200
"""Enough for Chroma to write its index files and not only its log."""


def vectors_file(home: Path, name: str) -> Path:
    (found,) = home.glob(f"chroma/*/*/{name}")
    return found


def overwrite(path: Path, start: int, size: int, byte: bytes = b"\xff") -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(byte * size)


def cut_level0(home: Path) -> None:
    path = vectors_file(home, "data_level0.bin")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def drop_rows(home: Path, table: str, condition: str) -> None:
    (path,) = home.glob("chroma/*/chroma.sqlite3")
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(f"DELETE FROM {table} WHERE {condition}").rowcount > 0
    connection.close()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "index file cut": cut_level0,
    "index file emptied": lambda home: vectors_file(home, "data_level0.bin").write_bytes(b""),
    "index file overwritten": lambda home: overwrite(vectors_file(home, "data_level0.bin"), 4096, 100_000),
    "links overwritten": lambda home: overwrite(vectors_file(home, "link_lists.bin"), 0, 64),
    "header overwritten": lambda home: overwrite(vectors_file(home, "header.bin"), 0, 100),
    "id table deleted": lambda home: vectors_file(home, "index_metadata.pickle").unlink(),
    "id table garbage": lambda home: vectors_file(home, "index_metadata.pickle").write_bytes(b"garbage"),
    "index folder deleted": lambda home: shutil.rmtree(vectors_file(home, "header.bin").parent),
    "all of chroma deleted": lambda home: shutil.rmtree(home / "chroma"),
    "chroma's rows dropped": lambda home: drop_rows(home, "embeddings", "id % 3 = 0"),
    "chroma's table emptied": lambda home: drop_rows(home, "embeddings", "1"),
    "chroma's database garbage": lambda home: overwrite(next(home.glob("chroma/*/chroma.sqlite3")), 0, 8192),
    "lexical index deleted": lambda home: shutil.rmtree(home / "lexical"),
    "lexical scores cut": lambda home: next(home.glob("lexical/*/data.csc.index.npy")).write_bytes(b"\x93NUMPY"),
    "lexical ids garbage": lambda home: next(home.glob("lexical/*/ids.json")).write_text('["x"]'),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a collection that nothing is wrong with."""
    place = tmp_path_factory.mktemp("whole")

    async def build() -> None:
        async with Collections(Settings(home=place, cache=place), WordEmbedder()).open("c", write=True) as collection:
            await store(collection, [document(f"/d/{i}", words(i)) for i in range(COUNT)])
            assert collection.verify() == []

    asyncio.run(build())
    return place / "collections" / "c"


@pytest.fixture
def home(whole: Path, settings: Settings) -> Path:
    """Folder of a copy to damage, collection `c`."""
    copy = settings.home / "collections" / "c"
    shutil.copytree(whole, copy)
    return copy


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_damage_is_told_with_the_remedy_and_rebuild_mends_it(
    collections: Collections, home: Path, damage: Callable[[Path], object]
) -> None:
    damage(home)
    async with collections.open("c") as collection:
        with pytest.raises(CollectionDamagedError, match=r"damaged: .*\. Restore it with: agentrag collections rebuild c$"):
            await collection.search(SearchRequest(words(7)))
    async with collections.open("c") as collection:
        assert collection.verify() != []
    async with collections.open("c", write=True) as collection:
        await collection.rebuild()
        assert collection.verify() == []
    async with collections.open("c") as collection:
        for mode in ("dense", "lexical", "convex"):
            request = SearchRequest(words(77), k=1, mode=mode)
            assert [passage.source for passage in await collection.search(request)] == ["/d/77"]


async def test_rows_lost_from_chromas_log_are_found_by_verify(collections: Collections, home: Path) -> None:
    # what came after the last time that Chroma wrote its index is in its log alone
    drop_rows(home, "embeddings_queue", "seq_id % 2 = 0")
    async with collections.open("c", write=True) as collection:
        assert collection.verify() != []
        await collection.rebuild()
        assert collection.verify() == []


async def test_a_copied_collection_is_not_damaged(collections: Collections, home: Path) -> None:
    shutil.copytree(home, home.with_name("copy"), copy_function=shutil.copyfile)  # new times of change
    async with collections.open("copy") as collection:
        assert (await collection.search(SearchRequest(words(5), k=1)))[0].source == "/d/5"
        assert collection.verify() == []


async def test_damaged_texts_are_told_plainly(collections: Collections, home: Path) -> None:
    overwrite(home / "collection.sqlite", 0, 4096)
    with pytest.raises(StoreError, match=r"collection\.sqlite is damaged .* Delete the collection and ingest it again"):
        collections.open("c")


async def test_verify_finds_damage_inside_the_database(collections: Collections, home: Path) -> None:
    connection = sqlite3.connect(home / "collection.sqlite")
    with connection:
        connection.execute("DELETE FROM vectors WHERE passage % 10 = 0")
    connection.close()
    async with collections.open("c") as collection:
        assert collection.verify() == [f"collection.sqlite: {COUNT // 10} passages have no vector"]


async def test_an_index_that_was_never_finished_is_made_at_the_next_search(collections: Collections, home: Path) -> None:
    connection = sqlite3.connect(home / "collection.sqlite")
    with connection:  # as a kill in the middle of writing leaves it
        connection.execute("UPDATE meta SET value = json_set(value, '$.state', 'writing') WHERE key = 'vectors'")
    connection.close()
    cut_level0(home)
    async with collections.open("c") as collection:
        assert (await collection.search(SearchRequest(words(5), k=1, mode="dense")))[0].source == "/d/5"
        assert collection.verify() == []
