"""BM25 over the plain words of whole documents: needs no collection, no embedder and no stemmer."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

from agentrag.core.errors import StoreError
from agentrag.core.types import Passage, SearchRequest
from agentrag.evaluation.data.dataset import DataSet
from agentrag.retrieval.lexical import Bm25Index
from agentrag.retrieval.records import index_text


class PlainBm25:
    """A Searcher over the documents of a data set: BM25, k1 0.9, b 0.4, English stop words, no stems.

    Args:
        data: Whose documents; they are read and indexed now. Cost: 0.1 ms a document of 100 words.

    Raises:
        DataSetError: The corpus is malformed, or a judgement names a document that it does not have.
    """

    def __init__(self, data: DataSet) -> None:
        data.check_judgements()
        self.name = f"plain-{data.name}"
        self._passages: dict[str, Passage] = {}
        texts: list[str] = []
        digest = hashlib.sha256()
        for document in data.documents():
            passage = _passage(document, self.name)
            texts.append(index_text(passage.title, "", passage.text))
            digest.update(f"{passage.id}\n{texts[-1]}\n".encode())
            self._passages[passage.id] = passage
        self.version = digest.hexdigest()[:16]
        self._index = Bm25Index(stem=False)
        self._index.build(list(self._passages), texts)

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Return up to `request.k` documents, best first, ties by id.

        Raises:
            StoreError: The request asks for vectors or for conditions.
        """
        if request.mode != "lexical" or request.where is not None:
            raise StoreError(f"'{self.name}' searches by words alone, without conditions.")
        found = await asyncio.to_thread(self._index.search, request.query, request.k)
        return [replace(self._passages[id_], score=score) for id_, score in found]


def _passage(document: dict[str, Any], collection: str) -> Passage:
    name, title, text = document["id"], document.get("title") or "", document["text"]
    return Passage(name, text, name, 0, len(text), title=title, collection=collection, record=name)
