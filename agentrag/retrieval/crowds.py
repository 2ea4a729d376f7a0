"""Passages whose vector many others have too: they stay out of the graph and are compared one by one.

Hundreds of equal vectors, as one line repeated through a log gives, are the worst case of HNSW: none of them is nearer than
another, so each is linked with all it can be linked with. 500 take 20 s and every next 500 longer, without a chance to
interrupt it. Compared one by one, 20,000 take 2 ms.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from agentrag.core.ports import Vectors
from agentrag.core.types import Metadata
from agentrag.retrieval.memory import MemoryStore

MOST = 16
"""A vector that more passages have than these leaves the graph with all of them."""
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL, vector BLOB, metadata TEXT CHECK ((vector IS NULL) = (metadata IS NULL))
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_hash ON held(hash);
"""


class Crowds:
    """Tells crowds from the rest and holds them, in a file of its own beside the graph.

    The file has a row for every passage: with the hash of its vector, and for those of a crowd with all that a search needs.

    Raises:
        sqlite3.Error: From every method: the file is damaged or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.members = MemoryStore()
        self._connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
        try:
            self._connection.executescript(_SCHEMA)
            rows = self._connection.execute("SELECT id, vector, metadata FROM held WHERE vector IS NOT NULL").fetchall()
        except BaseException:
            self._connection.close()
            raise
        if rows:
            vectors = np.stack([np.frombuffer(row[1], dtype=np.float32) for row in rows])
            self.members.add([row[0] for row in rows], vectors, [json.loads(row[2]) for row in rows])

    def crowded(self, vectors: Vectors) -> list[bool]:
        """For each row of `vectors` whether its vector is, or with these rows becomes, that of a crowd."""
        hashes = [_hash(vector) for vector in vectors]
        counts = Counter(hashes)
        return [counts[hash_] + self._weight(hash_) > MOST for hash_ in hashes]

    def in_graph(self, vectors: Vectors) -> dict[str, Vectors]:
        """Vectors by id of the passages in the graph that have one of these vectors."""
        distinct = {_hash(vector): vector for vector in vectors}
        sql = "SELECT id FROM held WHERE hash = ? AND vector IS NULL"
        return {id_: vector for hash_, vector in distinct.items() for (id_,) in self._connection.execute(sql, (hash_,))}

    def note(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Remember what goes into the graph."""
        rows = [(id_, _hash(vector), None, None) for id_, vector in zip(ids, vectors, strict=True)]
        self._insert(rows)

    def take(self, ids: Sequence[str], vectors: Vectors, metadatas: Sequence[Metadata]) -> None:
        """Hold passages of crowds."""
        rows = [
            (id_, _hash(vector), vector.tobytes(), json.dumps(dict(metadata)))
            for id_, vector, metadata in zip(ids, vectors, metadatas, strict=True)
        ]
        self._insert(rows)
        self.members.add(ids, vectors, metadatas)

    def delete(self, ids: Sequence[str]) -> None:
        """Forget; unknown ids are ignored."""
        with self._connection:
            self._connection.executemany("DELETE FROM held WHERE id = ?", [(id_,) for id_ in ids])
        self.members.delete(ids)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """Vectors of shape (d,) of the crowds' passages among `ids`."""
        sql, found = "SELECT id, vector FROM held WHERE vector IS NOT NULL AND id IN", {}
        for begin in range(0, len(ids), _AT_ONCE):
            part = ids[begin : begin + _AT_ONCE]
            for id_, vector in self._connection.execute(f"{sql} ({','.join('?' * len(part))})", part):
                found[id_] = np.frombuffer(vector, dtype=np.float32)
        return found

    def close(self) -> None:
        """Close the file. Calling it twice is allowed."""
        self._connection.close()

    def _weight(self, hash_: bytes) -> int:
        """How many have this vector; whoever joins a crowd that was, joins a crowd: its vector never returns to the graph."""
        sql = "SELECT count(*), count(vector) FROM (SELECT vector FROM held WHERE hash = ? LIMIT ?)"
        held, out = self._connection.execute(sql, (hash_, MOST)).fetchone()
        return MOST if out else int(held)

    def _insert(self, rows: Sequence[tuple[str, bytes, bytes | None, str | None]]) -> None:
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", rows)


def _hash(vector: Vectors) -> bytes:
    return sha256(vector.astype(np.float32).tobytes()).digest()[:16]
