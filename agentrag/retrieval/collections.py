"""All collections of a tenant: one folder each below `<home>/collections/`, or `<home>/tenants/<tenant>/collections/`."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from agentrag.core.errors import CollectionBusyError, StoreError, UnknownCollectionError
from agentrag.core.ports import Embedder
from agentrag.core.settings import Settings
from agentrag.core.types import Passage, SearchRequest
from agentrag.retrieval import fuse
from agentrag.retrieval.collection import Collection, memory_collection
from agentrag.retrieval.database import FILE, Database, open_database, store_error
from agentrag.retrieval.lock import CollectionLock

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Description:
    """What `collections list` shows. `size` is in bytes, all files; `embedder` is "" before the first document."""

    name: str
    documents: int
    passages: int
    size: int
    embedder: str


class Collections:
    """Opens collections by name.

    Args:
        settings: Says where they are, and whose; those of other tenants are as if they were not there.
        embedder: Embeds queries and passages; None is enough to list, verify, rebuild, delete and search by words.
    """

    def __init__(self, settings: Settings, embedder: Embedder | None) -> None:
        self._home = settings.own(settings.home) / "collections"
        self._embedder = embedder

    def names(self) -> list[str]:
        """Names of all collections, sorted."""
        return _names(self._home)

    def open(self, name: str, write: bool = False) -> Collection:
        """Open a collection; with `write` it is made where it does not exist.

        Raises:
            UnknownCollectionError: There is none, and `write` is false.
            CollectionBusyError: `write`, and another process has it open.
            StoreError: The name is not allowed, or the collection was made with another embedder.
        """
        folder = self._folder(name, write)
        lock = _locked(name, folder, write)
        try:
            database = open_database(folder, name, create=write)
            if database is None:
                raise UnknownCollectionError(name, self.names())
            return self._collection(database, folder, lock, write)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def in_memory(self, name: str) -> Collection:
        """Make an empty collection that lives in memory, open for writing."""
        _check_name(name)
        return memory_collection(name, self._embedder)

    def joined(self, names: Sequence[str]) -> Joined:
        """Open several collections as one, for reading.

        Raises:
            UnknownCollectionError, StoreError: As `open`.
        """
        with ExitStack() as stack:
            opened = []
            for name in dict.fromkeys(names):
                opened.append(self.open(name))
                stack.callback(opened[-1].close)
            stack.pop_all()
        return Joined(opened)

    def describe(self, name: str) -> Description:
        """Count what a collection holds, without its lock.

        Raises:
            UnknownCollectionError: There is none.
        """
        folder = self._folder(name, write=False)
        database = open_database(folder, name, create=False)
        if database is None:
            raise UnknownCollectionError(name, self.names())
        try:
            documents = database.rows("SELECT count(*) FROM documents WHERE complete = 1")[0][0]
            passages = database.rows("SELECT count(*) FROM passages WHERE state > 0")[0][0]
            return Description(name, documents, passages, _size(folder), database.meta("embedder") or "")
        finally:
            database.close()

    def delete(self, name: str) -> None:
        """Delete a collection with all its files.

        Raises:
            UnknownCollectionError: There is none.
            CollectionBusyError: A process has it open.
        """
        folder = self._folder(name, write=False)
        lock = _locked(name, folder, write=True)
        # renamed first: at no instant is there half a collection under the name
        doomed = folder.with_name(f".deleted-{uuid4().hex}")
        try:
            folder.rename(doomed)
        except OSError as error:
            raise store_error(name, error) from error
        finally:
            if lock is not None:
                lock.release()
        shutil.rmtree(doomed, ignore_errors=True)

    def _folder(self, name: str, write: bool) -> Path:
        _check_name(name)
        folder = self._home / name
        if not write and not (folder / FILE).is_file():
            raise UnknownCollectionError(name, self.names())
        return folder

    def _collection(self, database: Database, folder: Path, lock: CollectionLock | None, write: bool) -> Collection:
        try:
            made_with = database.meta("embedder")
            if self._embedder is not None and made_with not in (None, self._embedder.name):
                raise StoreError(
                    f"Collection '{database.name}' was made with the embedder '{made_with}', the settings give"
                    f" '{self._embedder.name}'. Set `embedder:` in agentrag.yaml to the former, or make a new collection."
                )
            return Collection(database, self._embedder, folder, lock, write)
        except BaseException:
            database.close()
            raise


class Joined:
    """Several collections as one Searcher.

    Cosines of one embedder compare across collections, so "dense" merges by score. Other scores do not, so the ranks of
    the collections are fused (reciprocal ranks); at equal rank the collection that was named first comes first.
    """

    def __init__(self, collections: Sequence[Collection]) -> None:
        self._collections = list(collections)

    @property
    def name(self) -> str:
        """The names, joined by "+"."""
        return "+".join(collection.name for collection in self._collections)

    @property
    def version(self) -> str:
        """The versions, joined by "+"."""
        return "+".join(collection.version for collection in self._collections)

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Return up to `request.k` passages of all collections, best first; each names its collection.

        Raises:
            StoreError: As for one collection.
        """
        found = await asyncio.gather(*(collection.search(request) for collection in self._collections))
        if request.mode == "dense":
            everything = [passage for passages in found for passage in passages]
            return sorted(everything, key=lambda passage: -passage.score)[: request.k]
        keyed = {f"{place:04d} {passage.id}": passage for place, passages in enumerate(found) for passage in passages}
        rankings = [[f"{place:04d} {passage.id}" for passage in passages] for place, passages in enumerate(found)]
        return [replace(keyed[key], score=score) for key, score in fuse.rrf(rankings)[: request.k]]

    def close(self) -> None:
        """Close all. Calling it twice is allowed."""
        for collection in self._collections:
            collection.close()


def _names(home: Path) -> list[str]:
    return sorted(path.parent.name for path in home.glob(f"*/{FILE}") if _NAME.fullmatch(path.parent.name))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        rule = "1 to 64 lower-case letters, digits, '.', '_' and '-', with a letter or digit at both ends"
        raise StoreError(f"'{name}' cannot be the name of a collection: it takes {rule}.")


def _locked(name: str, folder: Path, write: bool) -> CollectionLock | None:
    """The lock, held; None for a reader that cannot have it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = CollectionLock(folder)
        if lock.acquire():
            return lock
        if write:
            raise CollectionBusyError(name, lock.holder())
    except OSError as error:
        # readers may lack the right to write the folder
        if write:
            raise store_error(name, error) from error
    return None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
