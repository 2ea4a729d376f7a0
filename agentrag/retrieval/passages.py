"""The passages of a collection: rows in, rows out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from agentrag.core.ports import Vectors
from agentrag.core.types import Metadata, Passage
from agentrag.retrieval.database import Database
from agentrag.retrieval.filter import Where, matcher
from agentrag.retrieval.records import Chunk, NewDocument, filterable, index_text

_AT_ONCE = 500
_FIELDS = (
    "p.id, p.document, p.ordinal, p.start, p.stop, p.page, p.heading, p.before, p.text,"
    " d.source, d.title, d.record, d.metadata FROM passages p JOIN documents d ON d.number = p.document"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored passage with what its document says of it."""

    id: str
    document: int
    ordinal: int
    start: int
    stop: int
    page: int | None
    heading: str
    before: str
    text: str
    source: str
    title: str
    record: str
    metadata: str

    def passage(self, score: float, collection: str) -> Passage:
        """The passage as a search returns it."""
        return Passage(
            id=self.id,
            text=self.text,
            source=self.source,
            start=self.start,
            end=self.stop,
            title=self.title,
            page=self.page,
            heading=self.heading,
            score=score,
            collection=collection,
            record=self.record,
            metadata=json.loads(self.metadata),
        )


def passage_id(document: NewDocument, ordinal: int) -> str:
    """An id that follows from the document and not from the order of ingestion; it sorts alike on every machine."""
    known_as = sha256((document.record or document.source).encode()).hexdigest()[:8]
    version = sha256(f"{document.source}\0{document.fingerprint}".encode()).hexdigest()[:8]
    return f"{known_as}{version}-{ordinal:05d}"


def insert_passage(connection: sqlite3.Connection, place: tuple[str, int, int], chunk: Chunk, vector: Vectors) -> None:
    """Add a passage of an unfinished document; `place` is (id, document number, ordinal)."""
    row = (*place, chunk.start, chunk.end, chunk.page, chunk.heading, chunk.before, chunk.text)
    cursor = connection.execute(
        "INSERT INTO passages (id, document, ordinal, start, stop, page, heading, before, text) VALUES (?,?,?,?,?,?,?,?,?)", row
    )
    connection.execute("INSERT INTO vectors VALUES (?, ?)", (cursor.lastrowid, vector.astype(np.float32).tobytes()))


def fetch(database: Database, ids: Sequence[str]) -> dict[str, Row]:
    """The complete passages among `ids`."""
    rows = _by_ids(database, f"SELECT {_FIELDS} WHERE p.state > 0 AND p.id IN", ids)
    return {row[0]: Row(*row) for row in rows}


def beside(database: Database, document: int, first: int, last: int) -> list[Row]:
    """The passages of a document whose ordinals are in first..last, in order."""
    sql = f"SELECT {_FIELDS} WHERE p.document = ? AND p.ordinal BETWEEN ? AND ? ORDER BY p.ordinal"
    return [Row(*row) for row in database.rows(sql, (document, first, last))]


def vectors_of(database: Database, ids: Sequence[str]) -> dict[str, Vectors]:
    """Vectors of shape (d,) of the complete passages among `ids`."""
    sql = "SELECT p.id, v.vector FROM passages p JOIN vectors v ON v.passage = p.number WHERE p.state > 0 AND p.id IN"
    return {id_: np.frombuffer(vector, dtype=np.float32) for id_, vector in _by_ids(database, sql, ids)}


def all_ids(database: Database) -> list[str]:
    """Ids of all complete passages, sorted."""
    return [id_ for (id_,) in database.rows("SELECT id FROM passages WHERE state > 0 ORDER BY id")]


def all_texts(database: Database) -> tuple[list[str], list[str]]:
    """Ids and indexed texts of all complete passages."""
    rows = database.rows(
        "SELECT p.id, d.title, p.heading, p.text FROM passages p JOIN documents d ON d.number = p.document WHERE p.state > 0"
    )
    return [row[0] for row in rows], [index_text(*row[1:]) for row in rows]


def with_vectors(database: Database, numbers: Sequence[int]) -> tuple[list[str], Vectors, list[Metadata]]:
    """Ids, vectors of shape (n, d) and filterable metadata of passages by their numbers."""
    marks = ",".join("?" * len(numbers))
    rows = database.rows(
        "SELECT p.id, v.vector, d.metadata, d.source, d.title, d.record, p.page FROM passages p"
        " JOIN documents d ON d.number = p.document JOIN vectors v ON v.passage = p.number"
        f" WHERE p.number IN ({marks}) ORDER BY p.number",
        numbers,
    )
    vectors = np.stack([np.frombuffer(row[1], dtype=np.float32) for row in rows]) if rows else np.zeros((0, 0), np.float32)
    return [row[0] for row in rows], vectors, [filterable(json.loads(row[2]), *row[3:]) for row in rows]


def in_batches(database: Database, condition: str) -> Iterator[list[int]]:
    """Numbers of the passages that satisfy an SQL condition, up to 500 at once, in order of storing."""
    numbers = [number for (number,) in database.rows(f"SELECT number FROM passages WHERE {condition} ORDER BY number")]
    for begin in range(0, len(numbers), _AT_ONCE):
        yield numbers[begin : begin + _AT_ONCE]


def satisfying(database: Database, where: Where) -> frozenset[str]:
    """Ids of the complete passages whose metadata satisfies the conditions. Cost: about 3 us per passage.

    Raises:
        StoreError: `where` is not such conditions.
    """
    passes = matcher(where)
    documents = database.rows("SELECT number, metadata, source, title, record FROM documents WHERE complete = 1")
    pages: dict[int, list[tuple[str, int | None]]] = {}
    for id_, document, page in database.rows("SELECT id, document, page FROM passages WHERE state > 0"):
        pages.setdefault(document, []).append((id_, page))
    found: list[str] = []
    for number, metadata, source, title, record in documents:
        held, own = json.loads(metadata), pages.get(number, [])
        answers = {page: passes(filterable(held, source, title, record, page)) for page in {page for _, page in own}}
        found.extend(id_ for id_, page in own if answers[page])
    return frozenset(found)


def _by_ids(database: Database, sql: str, ids: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for begin in range(0, len(ids), _AT_ONCE):
        part = ids[begin : begin + _AT_ONCE]
        yield from database.rows(f"{sql} ({','.join('?' * len(part))})", part)
