"""The lexical index of a collection through its life: built when the content has changed, saved, mapped from disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import RLock

from agentrag.core.errors import CollectionDamagedError, StoreError
from agentrag.core.ports import LexicalIndex
from agentrag.retrieval.database import Database, set_meta, store_error
from agentrag.retrieval.lexical import Bm25Index
from agentrag.retrieval.manifest import damage, described, manifest
from agentrag.retrieval.passages import all_ids, all_texts
from agentrag.retrieval.vector_index import compared

_META = "lexical"


class Lexical:
    """BM25 that follows a database.

    Args:
        database: Where the texts are.
        home: Holds one folder per saved index; None keeps the index in memory only.
        owner: This process may save; others only read what fits their snapshot, and build their own otherwise.
    """

    def __init__(self, database: Database, home: Path | None, owner: bool) -> None:
        self._database, self._home, self._owner = database, home, owner
        self._index: Bm25Index | None = None
        self._content = ""
        self._lock = RLock()

    def ready(self) -> LexicalIndex:
        """The index of what the database holds now. Cost where the content changed: 0.1 ms per passage.

        Raises:
            CollectionDamagedError: The saved index is not what was written.
            StoreError: A new one cannot be saved.
        """
        return self._current()

    def findings(self) -> list[str]:
        """Compare files and ids with the database."""
        with self._lock:
            if found := self._damaged_files():
                return [f"lexical index: {one}" for one in found]
            try:
                return compared("lexical index", set(all_ids(self._database)), self._current().ids())
            except StoreError as error:
                return [f"lexical index: {error}"]

    def rebuild(self) -> None:
        """Build it anew from the stored texts."""
        with self._lock:
            self._build(self._database.meta("content") or "")

    def _damaged_files(self) -> list[str]:
        state = self._database.meta(_META)
        if self._home is None or not state or state["content"] != self._database.meta("content"):
            return []
        return damage(self._home / state["folder"], described(state["files"]), thorough=True)

    def _current(self) -> Bm25Index:
        with self._lock:
            content = self._database.meta("content") or ""
            if self._index is None or self._content != content:
                self._index = self._loaded(content)
                self._content = content
            return self._index or self._build(content)

    def _loaded(self, content: str) -> Bm25Index | None:
        state = self._database.meta(_META)
        if self._home is None or not state or state["content"] != content:
            return None
        folder = self._home / state["folder"]
        found = damage(folder, described(state["files"]))
        try:
            if not found:
                return Bm25Index.load(folder)
        except Exception as error:  # a damaged file can fail in any way
            found = [" ".join(str(error).split())]
        if self._owner:
            raise CollectionDamagedError(self._database.name, "lexical index: " + "; ".join(found))
        return None  # the owner may just have replaced it

    def _build(self, content: str) -> Bm25Index:
        index = Bm25Index()
        index.build(*all_texts(self._database))
        if self._home is not None and self._owner:
            try:
                self._save(index, content, self._home)
            except OSError as error:
                raise store_error(self._database.name, error) from error
        self._index, self._content = index, content
        return index

    def _save(self, index: Bm25Index, content: str, home: Path) -> None:
        """Save beside the earlier one, then name it in the database: at any instant one of them is whole."""
        state = self._database.meta(_META)
        folder = f"{int(state['folder']) + 1 if state else 1:04d}"
        shutil.rmtree(home / folder, ignore_errors=True)
        index.save(home / folder)
        files = manifest(home / folder)
        with self._database.transaction() as connection:
            set_meta(connection, _META, {"folder": folder, "content": content, "files": files})
        for path in home.glob("*"):
            if path.name != folder:
                shutil.rmtree(path, ignore_errors=True)
