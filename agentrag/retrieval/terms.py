"""Words as a ranking sees them: lower case, stemmed, without stop words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import cache, lru_cache
from typing import Any

_WORD = re.compile(r"[^\W_]+")


@cache
def _stemmer() -> Any:
    import Stemmer  # lazy: a compiled module that only retrieval needs

    return Stemmer.Stemmer("english")


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN_PLUS  # lazy: bm25s costs a quarter of a second

    return frozenset(STOPWORDS_EN_PLUS) | {"many", "much"}


def terms(text: str) -> list[str]:
    """All words of a text, lower case and stemmed (Snowball English), in order."""
    stemmed: list[str] = _stemmer().stemWords(_WORD.findall(text.lower()))
    return stemmed


@lru_cache(maxsize=16_384)
def term_set(text: str) -> frozenset[str]:
    """The distinct terms of a text; those of sentences that were seen lately are kept."""
    return frozenset(terms(text))


def content_terms(text: str) -> frozenset[str]:
    """The distinct stems of a text that are not stop words; question words are stop words.

    >>> sorted(content_terms("When were the Normans in Normandy?"))
    ['norman', 'normandi']
    """
    words = [word for word in _WORD.findall(text.lower()) if word not in _stop_words()]
    return frozenset(_stemmer().stemWords(words))


def rarity(texts: Iterable[Collection[str]]) -> Callable[[str], float]:
    """Inverse document frequency over a few texts, each given by its terms.

    Returns:
        A function of a term: ln(1 + (n - df + 0.5) / (df + 0.5)), > 0; the rarer, the larger.
    """
    documents = [set(words) for words in texts]
    frequency = Counter(word for words in documents for word in words)

    @cache
    def weight(term: str) -> float:
        return math.log(1 + (len(documents) - frequency[term] + 0.5) / (frequency[term] + 0.5))

    return weight


def coverage(wanted: Collection[str], held: Collection[str], weight: Callable[[str], float]) -> float:
    """Share, 0..1, of the weight of `wanted` terms that are in `held`; 0 where nothing is wanted."""
    total = sum(map(weight, wanted))
    return sum(weight(term) for term in wanted if term in held) / total if total else 0.0
