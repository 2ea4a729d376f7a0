"""Write documents: passages are embedded in large batches, and a document shows only when all of it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from agentrag.core.errors import StoreError
from agentrag.core.ports import Embedder, Vectors
from agentrag.retrieval.database import Database
from agentrag.retrieval.documents import Digest, complete_document, drop_unfinished, insert_document
from agentrag.retrieval.passages import insert_passage, passage_id
from agentrag.retrieval.pending import waiting
from agentrag.retrieval.records import Chunk, NewDocument, index_text

FLUSH = 256
_INDEX_EVERY = 5000


@dataclass
class _Draft:
    """A document on its way in. `number` is its row, once it has one."""

    document: NewDocument
    digest: Digest
    number: int | None = None
    added: int = 0
    stored: int = 0


@dataclass
class Writer:
    """Takes documents in; made by `Collection.writer()`, used by one task at a time.

    Passages of several documents share a batch. Each flush is one transaction, in which the documents that became whole
    take the place of their earlier versions. A kill at any instant leaves whole documents only.

    Args:
        refresh: Brings the indexes in line; slow, so it is called from a thread.
        catch_up: Brings only the vector index in line.
    """

    database: Database
    embedder: Embedder
    refresh: Callable[[], object]
    catch_up: Callable[[], object]
    _drafts: dict[str, _Draft] = field(default_factory=dict)
    _whole: list[_Draft] = field(default_factory=list)
    _buffer: list[tuple[_Draft, int, Chunk]] = field(default_factory=list)

    def begin(self, document: NewDocument) -> None:
        """Begin a document; one with the same source that was begun and not finished is given up."""
        self._drafts[document.source] = _Draft(document, Digest(document))

    async def add(self, source: str, chunks: Sequence[Chunk]) -> None:
        """Add the next passages of a document that was begun.

        Raises:
            StoreError: It was not begun, or storing failed.
        """
        draft = self._draft(source)
        for chunk in chunks:
            draft.digest.add(chunk)
            self._buffer.append((draft, draft.added, chunk))
            draft.added += 1
            if len(self._buffer) >= FLUSH:
                await self._flush()

    def finish(self, source: str) -> None:
        """Say that a document is complete; it shows as soon as all its passages are stored, which may be now.

        Raises:
            StoreError: It was not begun.
        """
        draft = self._draft(source)
        self._whole.append(self._drafts.pop(source))
        if draft.number is not None and draft.stored == draft.added:
            self._store([], None)

    async def __aenter__(self) -> Writer:
        await asyncio.to_thread(drop_unfinished, self.database)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # quick: the indexes catch up when the collection is next used
            with suppress(StoreError):
                drop_unfinished(self.database)
            return
        await self._flush()
        await asyncio.to_thread(drop_unfinished, self.database)
        await asyncio.to_thread(self.refresh)

    def _draft(self, source: str) -> _Draft:
        if source not in self._drafts:
            raise StoreError(f"Collection '{self.database.name}': document {source} was not begun.")
        return self._drafts[source]

    async def _flush(self) -> None:
        batch, self._buffer = self._buffer, []
        texts = [index_text(draft.document.title, chunk.heading, chunk.text) for draft, _, chunk in batch]
        vectors = await self.embedder.embed(texts) if batch else None
        await asyncio.to_thread(self._store, batch, vectors)
        if await asyncio.to_thread(waiting, self.database) >= _INDEX_EVERY:
            await asyncio.to_thread(self.catch_up)

    def _store(self, batch: Sequence[tuple[_Draft, int, Chunk]], vectors: Vectors | None) -> None:
        with self.database.transaction() as connection:
            for row, (draft, ordinal, chunk) in enumerate(batch):
                if draft.number is None:
                    draft.number = insert_document(connection, draft.document)
                if vectors is not None:
                    place = (passage_id(draft.document, ordinal), draft.number, ordinal)
                    insert_passage(connection, place, chunk, vectors[row])
                draft.stored += 1
            whole = [draft for draft in self._whole if draft.stored == draft.added]
            for draft in whole:
                if draft.number is None:  # a document without a passage
                    draft.number = insert_document(connection, draft.document)
                complete_document(connection, draft.number, draft.document.source, draft.digest.value())
        self._whole = [draft for draft in self._whole if draft not in whole]
