"""BM25 over stemmed words: bm25s with Lucene's formula, k1 0.9, b 0.4, English stop words, Snowball stems."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentrag.retrieval.ranks import best_rows

K1, B = 0.9, 0.4
_WORD = re.compile(r"\w\w+")
_IDS = "ids.json"


class Words:
    """Cuts texts into stems, or into plain words. Each distinct word is stemmed once; safe to use from several threads."""

    def __init__(self, *, stem: bool = True) -> None:
        # lazy: compiled, and a quarter of a second
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN

        self._stem: Any = Stemmer.Stemmer("english").stemWord if stem else str
        self._known: dict[str, str | None] = dict.fromkeys(STOPWORDS_EN)
        self._lock = Lock()

    def stems(self, text: str) -> list[str]:
        """The stems of a text in order, words of one character and stop words left out."""
        words = _WORD.findall(text.lower())
        with self._lock:  # the stemmer keeps state
            for word in words:
                if word not in self._known:
                    self._known[word] = self._stem(word)
            return [stem for word in words if (stem := self._known[word]) is not None]


class Bm25Index:
    """A LexicalIndex in memory, which can be saved and mapped from disk; with `stem=False` words stay as they are."""

    def __init__(self, *, stem: bool = True) -> None:
        self._words = Words(stem=stem)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._model: Any = None
        self._last: tuple[str, NDArray[np.float32]] | None = None

    def build(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Replace the whole index. Cost: about 0.1 ms per passage of 100 words."""
        import bm25s  # lazy: a quarter of a second

        order = sorted(range(len(ids)), key=lambda place: ids[place])  # ties by row are then ties by id
        vocabulary: dict[str, int] = {}
        rows = [[vocabulary.setdefault(stem, len(vocabulary)) for stem in self._words.stems(texts[place])] for place in order]
        model = None
        if vocabulary:
            model = bm25s.BM25(k1=K1, b=B, method="lucene")
            model.index((rows, vocabulary), show_progress=False)
        self._take([ids[place] for place in order], model)

    def search(self, query: str, k: int, allowed: frozenset[str] | None = None) -> list[tuple[str, float]]:
        """Return up to `k` (id, score > 0), best first, ties by id; `allowed` restricts the ids."""
        scores = self._scores(query)
        if allowed is None:
            rows = np.flatnonzero(scores)
        else:
            places = sorted(row for id_ in allowed if (row := self._rows.get(id_)) is not None and scores[row])
            rows = np.asarray(places, dtype=np.intp)
        best = rows[best_rows(scores[rows], k)]
        return [(self._ids[row], float(scores[row])) for row in best]

    def ids(self) -> set[str]:
        """All ids of the index."""
        return set(self._ids)

    def save(self, folder: Path) -> None:
        """Write the index into a new folder.

        Raises:
            OSError: It cannot be written.
        """
        folder.mkdir(parents=True)
        (folder / _IDS).write_text(json.dumps(self._ids), encoding="utf-8")
        if self._model is not None:
            self._model.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> Bm25Index:
        """Map a saved index into memory.

        Raises:
            OSError, ValueError, KeyError: The folder does not hold one.
        """
        import bm25s  # lazy: as above

        index, model = cls(), None
        ids = json.loads((folder / _IDS).read_text(encoding="utf-8"))
        if any(path.name != _IDS for path in folder.iterdir()):
            model = bm25s.BM25.load(folder, mmap=True, show_progress=False)
            # plain views of the mapped pages: numpy's memmap type is slow to slice
            model.scores |= {part: np.asarray(model.scores[part]) for part in ("data", "indices", "indptr")}
            if model.scores["num_docs"] != len(ids):
                raise ValueError(f"{len(ids)} ids for {model.scores['num_docs']} passages")
        index._take(ids, model)
        return index

    def _take(self, ids: list[str], model: Any) -> None:
        self._ids, self._model, self._last = ids, model, None
        self._rows = {id_: row for row, id_ in enumerate(ids)}

    def _scores(self, query: str) -> NDArray[np.float32]:
        """Score of every row. The last query's are kept: a fusion asks for the same query twice."""
        last = self._last
        if last is not None and last[0] == query:
            return last[1]
        stems = self._words.stems(query) if self._model is not None else []
        known = [self._model.vocab_dict[stem] for stem in stems if stem in self._model.vocab_dict]
        if known:
            scores: NDArray[np.float32] = self._model.get_scores_from_ids(known)
        else:
            scores = np.zeros(len(self._ids), dtype=np.float32)
        self._last = (query, scores)
        return scores
