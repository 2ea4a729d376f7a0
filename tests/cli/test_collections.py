from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentrag.core.settings import Settings
from agentrag.retrieval.collection import Chunk, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.cli.conftest import Command


@pytest.fixture
def isles(tmp_path: Path) -> Path:
    """Folder of a collection `isles` in the home that `command` uses."""
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")

    async def build() -> None:
        async with Collections(settings, WordEmbedder()).open("isles", write=True) as collection, collection.writer() as writer:
            for name in ("skye", "mull"):
                writer.begin(NewDocument(name, "1"))
                await writer.add(name, [Chunk(f"{name} has eagles", 0, 15), Chunk(f"{name} has ferries", 16, 32)])
                writer.finish(name)

    asyncio.run(build())
    return settings.home / "collections" / "isles"


def test_list_shows_documents_passages_size_and_embedder(command: Command, isles: Path) -> None:
    done = command("collections", "list")
    assert done.code == 0
    (row,) = [line.split() for line in done.out.splitlines() if "isles" in line]
    assert (row[:3], row[4:]) == (["isles", "2", "4"], ["MB", "words"])


def test_list_without_collections_says_how_to_make_one(command: Command) -> None:
    done = command("collections", "list")
    assert (done.code, done.out) == (0, "")
    assert "agentrag ingest PATH --collection docs" in done.err


def test_verify_tells_a_whole_collection_from_a_damaged_one_and_rebuild_mends_it(command: Command, isles: Path) -> None:
    assert command("collections", "verify", "isles").out == "Collection 'isles' is whole.\n"
    next(isles.glob("lexical/*/ids.json")).unlink()
    damaged = command("collections", "verify", "isles")
    assert damaged.code == 1
    assert damaged.out == "lexical index: ids.json is missing\n"
    assert damaged.err == "error: Collection 'isles' is damaged. Restore it with: agentrag collections rebuild isles\n"
    assert command("collections", "rebuild", "isles").out == "Collection 'isles' is rebuilt.\n"
    assert command("collections", "verify", "isles").code == 0


@pytest.mark.parametrize("action", ["verify", "rebuild", "delete"])
def test_an_unknown_collection_is_one_line_and_exit_code_1(command: Command, isles: Path, action: str) -> None:
    done = command("collections", action, "iles")
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("error: Unknown collection 'iles'. Did you mean 'isles'?")
    assert done.err.count("\n") == 1
    assert not isles.with_name("iles").exists()


def test_delete_asks_first(command: Command, isles: Path) -> None:
    done = command("collections", "delete", "isles", stdin="n\n")
    assert done.code == 1
    assert "Delete 'isles' with 2 documents?" in done.out
    assert isles.exists()
    assert command("collections", "delete", "isles", stdin="y\n").code == 0
    assert not isles.exists()


def test_delete_with_yes_does_not_ask(command: Command, isles: Path) -> None:
    done = command("collections", "delete", "isles", "--yes")
    assert (done.code, done.out) == (0, "Collection 'isles' is deleted.\n")
    assert not isles.exists()
