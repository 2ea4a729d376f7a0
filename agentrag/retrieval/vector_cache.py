"""Vectors that were computed before, kept on disk by embedder and text. Several processes may use one cache at once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np

from agentrag.core.ports import Embedder, Vectors

_LOG = logging.getLogger(__name__)
_AT_ONCE = 500
T = TypeVar("T")


class VectorCache:
    """A table from key to vector in one SQLite file.

    It only saves time, so a cache that cannot be read or written counts as empty: the trouble is logged once, not raised.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._broken = False

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The vectors that are there, each of shape (d,)."""

        def read(connection: sqlite3.Connection) -> dict[bytes, Vectors]:
            found: dict[bytes, Vectors] = {}
            for begin in range(0, len(keys), _AT_ONCE):
                part = keys[begin : begin + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
                found.update((key, np.frombuffer(vector, dtype=np.float32)) for key, vector in rows)
            return found

        return self._tried(read, {})

    def put(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Add vectors of shape (d,); known keys stay as they are."""

        def write(connection: sqlite3.Connection) -> None:
            rows = [(key, np.asarray(vector, dtype=np.float32).tobytes()) for key, vector in vectors.items()]
            with connection:
                connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

        self._tried(write, None)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _tried(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            if self._broken:
                return otherwise
            try:
                return work(self._open())
            except (sqlite3.Error, OSError) as error:
                self._broken = True
                _LOG.warning("The vector cache %s is out of use: %s. Delete it if this stays.", self._path, error)
                return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
            self._connection = connection
        return self._connection


class CachedEmbedder:
    """An embedder that asks the cache first; its vectors are those of the embedder behind it."""

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self._embedder, self._cache = embedder, cache

    @property
    def name(self) -> str:
        """Name of the embedder behind it."""
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), dimensions); each distinct unknown text is embedded once."""
        if not texts:
            return await self._embedder.embed(texts)
        keys = [cache_key(self.name, text) for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        known = await asyncio.to_thread(self._cache.get, list(wanted))
        missing = [key for key in wanted if key not in known]
        if missing:
            vectors = await self._embedder.embed([wanted[key] for key in missing])
            fresh: dict[bytes, Vectors] = dict(zip(missing, vectors, strict=True))
            await asyncio.to_thread(self._cache.put, fresh)
            known |= fresh
        return np.stack([known[key] for key in keys])


def cache_key(embedder: str, text: str) -> bytes:
    """Key of a text under an embedder: 32 bytes."""
    return hashlib.sha256(embedder.encode() + b"\0" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()).digest()
