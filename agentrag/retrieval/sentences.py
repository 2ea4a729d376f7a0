"""Sentences with their offsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 300
"""Characters; what is longer and stands on several lines is a table or a list without punctuation, and each line counts."""

_KEPT = 2000
"""Characters up to which a text may be a passage; whole documents are not kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """`text` is `source[start:end]` of the text it was cut from, without white space at its ends."""

    text: str
    start: int
    end: int


def sentences(text: str, language: str = "en") -> list[Span]:
    """Cut a text into sentences (list items and headings count as sentences).

    Args:
        text: Any text.
        language: ISO 639-1 code; decides which abbreviations do not end a sentence.

    Returns:
        Non-empty spans in order, not overlapping; together they hold every character that is not white space.

    >>> [span.text for span in sentences("Mr. Bean came. He sat.")]
    ['Mr. Bean came.', 'He sat.']
    """
    return list(_kept(text, language) if len(text) <= _KEPT else _cut(text, language))


@lru_cache(maxsize=2048)
def _kept(text: str, language: str) -> tuple[Span, ...]:
    """The sentences of a text that may come again, as passages do."""
    return _cut(text, language)


def _cut(text: str, language: str) -> tuple[Span, ...]:
    # lazy: a compiled module that only retrieval and citing need
    from sentencex import get_sentence_boundaries

    spans = []
    for piece in get_sentence_boundaries(language, text):
        for start, raw in _lines(piece["start_index"], piece["text"]):
            body = raw.strip()
            if body:
                begin = start + len(raw) - len(raw.lstrip())
                spans.append(Span(body, begin, begin + len(body)))
    return tuple(spans)


def _lines(start: int, text: str) -> Iterator[tuple[int, str]]:
    """The text with its offset, or its lines with theirs where it is too long for a sentence."""
    if len(text.strip()) <= LONGEST:
        yield start, text
        return
    for line in text.splitlines(keepends=True):
        yield start, line
        start += len(line)
