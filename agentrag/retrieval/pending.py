"""What the vector index has to catch up with: passages that wait for it, and tombstones of passages that are gone."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agentrag.core.ports import VectorStore
from agentrag.retrieval.database import Database
from agentrag.retrieval.passages import in_batches, with_vectors


@dataclass(frozen=True)
class Applied:
    """What a store took in: numbers of added passages, ids of removed ones."""

    added: list[int]
    removed: list[str]

    def settle(self, connection: sqlite3.Connection) -> None:
        """Record it; whatever came to wait in the meantime goes on waiting."""
        connection.executemany("UPDATE passages SET state = 2 WHERE number = ? AND state = 1", [(n,) for n in self.added])
        connection.executemany("DELETE FROM tombstones WHERE id = ?", [(id_,) for id_ in self.removed])


def waiting(database: Database) -> int:
    """How many additions and removals wait."""
    sql = "SELECT (SELECT count(*) FROM passages WHERE state = 1) + (SELECT count(*) FROM tombstones)"
    count: int = database.rows(sql)[0][0]
    return count


def apply(database: Database, store: VectorStore) -> Applied:
    """Bring a store in line with the database. Removals come first: a document read again has its old ids again."""
    removed = [id_ for (id_,) in database.rows("SELECT id FROM tombstones ORDER BY id")]
    store.delete(removed)
    added: list[int] = []
    for numbers in in_batches(database, "state = 1"):
        store.add(*with_vectors(database, numbers))
        added.extend(numbers)
    return Applied(added, removed)


def all_wait(connection: sqlite3.Connection) -> None:
    """Let every complete passage wait, for an index that begins empty."""
    connection.execute("UPDATE passages SET state = 1 WHERE state = 2")
    connection.execute("DELETE FROM tombstones")
