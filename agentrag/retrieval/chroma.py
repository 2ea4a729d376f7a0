"""Nearest neighbours by Chroma's HNSW index in a folder.

Two processes on one folder destroy it, without any error at the time, so whoever opens it holds the collection's lock.
Chroma never sees texts, and never embeds: its default embedding function would fetch a model from the network. Nor does
it see the vectors that very many passages have in common, see `crowds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from agentrag.core.errors import StoreError
from agentrag.core.ports import Vectors
from agentrag.core.types import Metadata, Scalar
from agentrag.retrieval.crowds import Crowds
from agentrag.retrieval.filter import normalised

_NAME = "passages"  # one Chroma collection per folder, so that its rules for names never meet the user's
_AT_ONCE, _FURTHER = 200, 2000
SAME = 0.999
"""Cosine from which two vectors count as equal."""


class ChromaStore:
    """A VectorStore over a folder of its own, made where it does not exist.

    Raises:
        StoreError: From every method: Chroma failed; the cause is chained.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: Any = None
        with self._faults():
            folder.mkdir(parents=True, exist_ok=True)
            self._crowds = Crowds(folder / "crowds.sqlite")
            try:
                self._client, self._passages = _opened(folder)
                self._most: int = self._client.get_max_batch_size()
            except BaseException:
                self._crowds.close()
                raise

    def add(self, ids: Sequence[str], vectors: Vectors, metadatas: Sequence[Metadata]) -> None:
        """Insert or replace. `vectors` has shape (len(ids), d) with rows of length 1."""
        for begin in range(0, len(ids), self._most):
            part = slice(begin, begin + self._most)
            with self._faults():
                self._add(ids[part], vectors[part], metadatas[part])

    def delete(self, ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        for begin in range(0, len(ids), self._most):
            with self._faults():
                self._passages.delete(ids=list(ids[begin : begin + self._most]))
                self._crowds.delete(ids[begin : begin + self._most])

    def search(self, vector: Vectors, k: int, where: Mapping[str, Any] | None = None) -> list[tuple[str, float]]:
        """Return up to `k` (id, cosine in -1..1), best first, ties by id."""
        conditions = normalised(where) if where else None
        with self._faults():
            # nothing but distances: texts and metadata would double the time
            found = self._passages.query(query_embeddings=vector, n_results=k, where=conditions, include=["distances"])
        hits = {id_: _cosine(distance) for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)}
        hits |= self._crowds.members.search(vector, k, where)
        return sorted(hits.items(), key=lambda hit: (-hit[1], hit[0]))[:k]

    def ids(self) -> set[str]:
        """All ids that a search by their own vector finds, or that have a twin of equal vector which it finds.

        Chroma's count() also counts what is lost. Many equal vectors make some of them unreachable in any HNSW graph, and
        any of them is as good an answer as the others, so that is no loss.

        Cost: about 1 ms per id.
        """
        found = self._crowds.members.ids()
        listed = sorted(self.listed() - found)
        for begin in range(0, len(listed), _AT_ONCE):
            vectors = self.vectors(listed[begin : begin + _AT_ONCE])
            found |= self._reached(vectors, 1)
            # a long list makes Chroma look further: among passages that are all much alike a short look may end too soon
            found |= self._reached({id_: vectors[id_] for id_ in vectors.keys() - found}, _FURTHER)
        return found

    def vectors(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """Vectors of shape (d,) as the index holds them; those that it lost are left out. At most a few hundred ids."""
        with self._faults():
            crowds = self._crowds.vectors(ids)
        return crowds | self._in_graph([id_ for id_ in ids if id_ not in crowds])

    def _in_graph(self, ids: Sequence[str]) -> dict[str, Vectors]:
        if not ids:
            return {}
        try:
            with self._faults():
                held = self._passages.get(ids=list(ids), include=["embeddings"])
        except StoreError:
            # one lost vector fails the whole call: part it to spare the others
            if len(ids) <= 1:
                return {}
            half = len(ids) // 2
            return self._in_graph(ids[:half]) | self._in_graph(ids[half:])
        return dict(zip(held["ids"], np.asarray(held["embeddings"], dtype=np.float32), strict=True))

    def listed(self) -> set[str]:
        """All ids in Chroma's tables, without a look at the index. Cost: about 10 us per id."""
        with self._faults():
            listed: list[str] = self._passages.get(include=[])["ids"]
        return set(listed) | self._crowds.members.ids()

    def close(self) -> None:
        """Release files. Calling it twice is allowed."""
        self._crowds.close()
        if self._client is not None:
            with self._faults():
                self._client.close()
            self._client = None

    def _add(self, ids: Sequence[str], vectors: Vectors, metadatas: Sequence[Metadata]) -> None:
        self._crowds.delete(ids)
        crowded = self._crowds.crowded(vectors)
        if members := [row for row, is_crowded in enumerate(crowded) if is_crowded]:
            self._out_of_graph(vectors[members])
            # one of these ids may have stood for another vector, in the graph
            self._passages.delete(ids=[ids[row] for row in members])
            self._crowds.take([ids[row] for row in members], vectors[members], [metadatas[row] for row in members])
        if others := [row for row, is_crowded in enumerate(crowded) if not is_crowded]:
            names, fields = [ids[row] for row in others], [_fields(metadatas[row]) for row in others]
            self._passages.upsert(ids=names, embeddings=vectors[others], metadatas=fields)
            self._crowds.note(names, vectors[others])

    def _out_of_graph(self, vectors: Vectors) -> None:
        """Hand those in the graph that have one of these vectors over to the crowds."""
        if held := self._crowds.in_graph(vectors):
            kept = self._passages.get(ids=list(held), include=["metadatas"])
            for id_, fields in zip(kept["ids"], kept["metadatas"], strict=True):
                self._crowds.take([id_], held[id_][None], [fields or {}])
            self._passages.delete(ids=list(held))

    def _reached(self, vectors: Mapping[str, Vectors], k: int) -> set[str]:
        if not vectors:
            return set()
        with self._faults():
            near = self._passages.query(query_embeddings=np.stack(list(vectors.values())), n_results=k, include=["distances"])
        return {id_ for id_, gaps in zip(vectors, near["distances"], strict=True) if gaps and _cosine(gaps[0]) >= SAME}

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"Vector index {self._folder}: {' '.join(str(error).split())}") from error
        except BaseException as error:
            # a panic of Chroma's Rust part derives from BaseException
            if type(error).__name__ != "PanicException":
                raise
            raise StoreError(f"Vector index {self._folder}: {' '.join(str(error).split())}") from error


def _cosine(distance: float) -> float:
    """Rounded, so that equal vectors tie whatever the order in which their products were added up."""
    return round(max(-1.0, min(1.0, 1.0 - distance)), 6)


def _fields(metadata: Metadata) -> dict[str, Scalar] | None:
    """Metadata as Chroma keeps it well.

    It refuses an empty mapping, yet takes None. And against a whole number it cuts the fraction off the other side first,
    so that 2 < 2.2 is false: all numbers are stored with a fraction.
    """
    return {key: float(value) if type(value) is int else value for key, value in metadata.items()} or None


def _opened(folder: Path) -> tuple[Any, Any]:
    # lazy: a second of start-up
    import chromadb
    from chromadb.config import Settings

    client: Any = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    try:
        # Chroma's 16 neighbours leave a quarter of a corpus of passages that are all much alike out of reach, 32 a tenth,
        # 128 none; at 20,000 passages building and searching take the same time with either
        index = {"space": "cosine", "ef_construction": 200, "ef_search": 100, "max_neighbors": 128}
        collection = client.get_or_create_collection(_NAME, embedding_function=None, configuration={"hnsw": index})
    except BaseException:
        client.close()
        raise
    return client, collection
