"""The vector index of a collection through its life: made, opened, caught up with the database, checked, made anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import RLock
from typing import Protocol

from agentrag.core.errors import CollectionDamagedError, StoreError
from agentrag.core.ports import VectorStore
from agentrag.retrieval import pending
from agentrag.retrieval.chroma import SAME, ChromaStore
from agentrag.retrieval.database import Database, set_meta
from agentrag.retrieval.manifest import Manifest, damage, described, manifest
from agentrag.retrieval.memory import MemoryStore
from agentrag.retrieval.passages import all_ids, in_batches, vectors_of, with_vectors

_PROBES, _AT_ONCE = 3, 200
_UNREACHABLE = 0.02
"""Share of passages that an HNSW graph may miss; it is approximate by nature, and 1 % was seen among passages nearly alike."""
_META = "vectors"
_CHANGING = "chroma.sqlite3"
"""Chroma's own SQLite file changes whenever it is opened; SQLite keeps it whole."""
_WRITTEN = "/index_metadata.pickle"
"""Stands beside the files of a graph once Chroma has written it out."""


class VectorIndex(Protocol):
    """A vector store that follows a database."""

    def ready(self) -> VectorStore:
        """The store, caught up."""
        ...

    def findings(self) -> list[str]:
        """What is wrong with it, one line each."""
        ...

    def rebuild(self) -> None:
        """Make it anew from the database."""
        ...

    def close(self) -> None:
        """Release files. Calling it twice is allowed."""
        ...


class MemoryVectors:
    """Vectors in memory. `frozen`: the database is a snapshot that others own, so nothing is recorded in it."""

    def __init__(self, database: Database, frozen: bool) -> None:
        self._database, self._frozen = database, frozen
        self._store: MemoryStore | None = None
        self._lock = RLock()

    def ready(self) -> VectorStore:
        """The store, caught up. Cost of the first call: reads all vectors."""
        with self._lock:
            if self._store is None:
                self._store = MemoryStore()
                if self._frozen:
                    for numbers in in_batches(self._database, "state > 0"):
                        self._store.add(*with_vectors(self._database, numbers))
            if not self._frozen and pending.waiting(self._database):
                applied = pending.apply(self._database, self._store)
                with self._database.transaction() as connection:
                    applied.settle(connection)
            return self._store

    def findings(self) -> list[str]:
        """Compare ids with the database."""
        return compared("vector index", set(all_ids(self._database)), self.ready().ids())

    def rebuild(self) -> None:
        """Forget the store; the next use fills a new one."""
        with self._lock:
            self._store = None
            if not self._frozen:
                with self._database.transaction() as connection:
                    pending.all_wait(connection)

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._store = None


class ChromaVectors:
    """Chroma in a folder below `home`, used by the one process that holds the collection's lock.

    Chroma changes its files in place, so a kill while it writes leaves them in any state. Around every change the
    database says so ("writing"); who finds that word makes the index anew from the database, in a folder of a new name.
    """

    def __init__(self, database: Database, home: Path) -> None:
        self._database, self._home = database, home
        self._store: ChromaStore | None = None
        self._lock = RLock()

    def ready(self) -> ChromaStore:
        """The store, caught up.

        Raises:
            CollectionDamagedError: Its files are not what was written.
            StoreError: It cannot be written, for one because the disk is full.
        """
        with self._lock:
            if self._store is None:
                self._store = self._opened()
            if pending.waiting(self._database):
                self._catch_up(self._store)
            return self._store

    def findings(self) -> list[str]:
        """Compare files, ids and vectors with the database. Cost: about 2 ms per passage."""
        with self._lock:
            if found := self._damaged_files(thorough=True):
                return found
            try:
                store = self.ready()
                return compared("vector index", set(all_ids(self._database)), store.listed()) or self._lost(store)
            except StoreError as error:
                return [f"vector index: {error}"]

    def rebuild(self) -> None:
        """Make the index anew from the database, without a look at the old one."""
        with self._lock:
            self._close_quietly()
            self._store = self._begun()
            self._catch_up(self._store)

    def close(self) -> None:
        """Release files. Calling it twice is allowed."""
        with self._lock:
            self._close_quietly()

    def _opened(self) -> ChromaStore:
        state = self._database.meta(_META)
        if state is None or state["state"] != "clean":
            return self._begun()
        if found := self._damaged_files(thorough=False):
            raise CollectionDamagedError(self._database.name, "vector index: " + "; ".join(found))
        store = self._checked(self._home / state["folder"])
        self._sweep(state["folder"])
        return store

    def _checked(self, folder: Path) -> ChromaStore:
        store = None
        try:
            store = ChromaStore(folder)
            held = {id_ for (id_,) in self._database.rows("SELECT id FROM passages WHERE state = 2")}
            gone = {id_ for (id_,) in self._database.rows("SELECT id FROM tombstones")}
            found = compared("vector index", held, store.listed() - (gone - held)) or self._astray(store)
        except StoreError as error:
            found = [str(error)]
        if found:
            if store is not None:
                store.close()
            raise CollectionDamagedError(self._database.name, "; ".join(found))
        if store is None:
            raise StoreError(f"Collection '{self._database.name}' has no vector index.")
        return store

    def _begun(self) -> ChromaStore:
        """A new, empty index that everything waits for."""
        old = self._database.meta(_META)
        folder = f"{int(old['folder']) + 1 if old else 1:04d}"
        with self._database.transaction() as connection:
            pending.all_wait(connection)
            set_meta(connection, _META, {"folder": folder, "state": "writing"})
        self._sweep()
        return ChromaStore(self._home / folder)

    def _catch_up(self, store: ChromaStore) -> None:
        folder = self._database.meta(_META)["folder"]
        with self._database.transaction() as connection:
            set_meta(connection, _META, {"folder": folder, "state": "writing"})
        try:
            applied = pending.apply(self._database, store)
            files = _lasting(manifest(self._home / folder, leave_out=_CHANGING))
        except (StoreError, OSError) as error:
            # half-written: the next use makes a new one
            self._close_quietly()
            raise StoreError(f"Collection '{self._database.name}': its vector index could not be written: {error}") from error
        with self._database.transaction() as connection:
            applied.settle(connection)
            set_meta(connection, _META, {"folder": folder, "state": "clean", "files": files})

    def _damaged_files(self, thorough: bool) -> list[str]:
        state = self._database.meta(_META)
        if state is None or state["state"] != "clean":
            return []
        return damage(self._home / state["folder"], described(state.get("files")), thorough)

    def _astray(self, store: ChromaStore) -> list[str]:
        """Look a few stored vectors up; each must find an equal one."""
        ids = [id_ for (id_,) in self._database.rows("SELECT id FROM passages WHERE state = 2 ORDER BY id")]
        vectors = vectors_of(self._database, ids[:: max(1, -(-len(ids) // _PROBES))])
        astray = [id_ for id_, vector in vectors.items() if not (near := store.search(vector, 1)) or near[0][1] < SAME]
        # one may be out of reach of the graph; all of them are not by chance
        return (
            ["vector index: stored passages are not found by their vectors"] if vectors and len(astray) == len(vectors) else []
        )

    def _lost(self, store: ChromaStore) -> list[str]:
        """Compare every vector with the stored one, then look every one up."""
        ids, lost = all_ids(self._database), 0
        for begin in range(0, len(ids), _AT_ONCE):
            part = ids[begin : begin + _AT_ONCE]
            wanted, held = vectors_of(self._database, part), store.vectors(part)
            lost += sum(id_ not in held or float(wanted[id_] @ held[id_]) < SAME for id_ in part)
        if lost:
            return [f"vector index: the vectors of {lost} of {len(ids)} passages are lost or wrong"]
        missed = len(set(ids) - store.ids())
        return [f"vector index: {missed} of {len(ids)} passages are not found"] if missed > _UNREACHABLE * len(ids) else []

    def _sweep(self, keep: str = "") -> None:
        """Remove folders of earlier indexes."""
        for path in self._home.glob("*"):
            if path.name != keep:
                shutil.rmtree(path, ignore_errors=True)

    def _close_quietly(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _lasting(files: Manifest) -> Manifest:
    """The files that opening leaves alone: Chroma makes those of a graph that it has not yet written out anew each time."""
    written = {name.rpartition("/")[0] for name in files if name.endswith(_WRITTEN)}
    return {name: state for name, state in files.items() if name.rpartition("/")[0] in written}


def compared(what: str, wanted: set[str], held: set[str]) -> list[str]:
    """Say what an index lacks and what it holds too much."""
    findings = []
    if missing := wanted - held:
        findings.append(f"{what}: {len(missing)} of {len(wanted)} passages are not found")
    if extra := held - wanted:
        findings.append(f"{what}: {len(extra)} passages are there that the collection does not have")
    return findings
