"""The documents of a collection: which are complete, and how one takes the place of its older version."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from hashlib import sha256

from agentrag.retrieval.database import Database, set_meta
from agentrag.retrieval.records import Chunk, NewDocument, StoredDocument

_MODULUS = 1 << 128


class Digest:
    """Hash of a document with all its passages, fed piece by piece."""

    def __init__(self, document: NewDocument) -> None:
        fields = [document.source, document.fingerprint, document.title, document.record, dict(document.metadata)]
        self._hash = sha256(json.dumps(fields, sort_keys=True).encode())

    def add(self, chunk: Chunk) -> None:
        """Take in the next passage."""
        fields = [chunk.start, chunk.end, chunk.page, chunk.heading, chunk.before, chunk.text]
        self._hash.update(json.dumps(fields).encode())

    def value(self) -> str:
        """128 bits as hex digits."""
        return self._hash.hexdigest()[:32]


def complete_documents(database: Database) -> dict[str, StoredDocument]:
    """All complete documents by source."""
    rows = database.rows(
        "SELECT source, fingerprint, title, (SELECT count(*) FROM passages WHERE document = documents.number), characters"
        " FROM documents WHERE complete = 1 ORDER BY source"
    )
    return {row[0]: StoredDocument(*row) for row in rows}


def insert_document(connection: sqlite3.Connection, document: NewDocument) -> int:
    """Add a document that is not complete yet; returns its number."""
    metadata = json.dumps(dict(document.metadata), sort_keys=True)
    cursor = connection.execute(
        "INSERT INTO documents (source, fingerprint, title, record, metadata) VALUES (?, ?, ?, ?, ?)",
        (document.source, document.fingerprint, document.title, document.record, metadata),
    )
    number = cursor.lastrowid
    if number is None:
        raise sqlite3.IntegrityError("no document was added")
    return number


def complete_document(connection: sqlite3.Connection, number: int, source: str, digest: str) -> None:
    """Make a document visible in place of the version before it."""
    remove_documents(connection, [source])
    connection.execute(
        "UPDATE documents SET complete = 1, digest = ?,"
        " characters = (SELECT coalesce(max(stop), 0) FROM passages WHERE document = documents.number) WHERE number = ?",
        (digest, number),
    )
    connection.execute("UPDATE passages SET state = 1 WHERE document = ?", (number,))
    _change(connection, int(digest, 16))


def remove_documents(connection: sqlite3.Connection, sources: Iterable[str]) -> None:
    """Remove complete documents; unknown sources are ignored."""
    for source in sources:
        found = connection.execute(
            "SELECT number, digest FROM documents WHERE source = ? AND complete = 1", (source,)
        ).fetchone()
        if found:
            number, digest = found
            connection.execute(
                "INSERT OR IGNORE INTO tombstones SELECT id FROM passages WHERE document = ? AND state = 2", (number,)
            )
            _drop(connection, number)
            _change(connection, -int(digest, 16))


def drop_unfinished(database: Database) -> None:
    """Remove what writers left behind that did not end."""
    with database.transaction() as connection:
        for (number,) in connection.execute("SELECT number FROM documents WHERE complete = 0").fetchall():
            _drop(connection, number)


def _drop(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM vectors WHERE passage IN (SELECT number FROM passages WHERE document = ?)", (number,))
    connection.execute("DELETE FROM passages WHERE document = ?", (number,))
    connection.execute("DELETE FROM documents WHERE number = ?", (number,))


def _change(connection: sqlite3.Connection, amount: int) -> None:
    """Move the collection's content hash: the sum of its documents' digests, the same in whatever order they came."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'content'").fetchone()
    total = int(json.loads(row[0]), 16) if row else 0
    set_meta(connection, "content", f"{(total + amount) % _MODULUS:032x}")
