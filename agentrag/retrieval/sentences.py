"""Sentences with their offsets."""

from __future__ import annotations

from dataclasses import dataclass


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
    # lazy: a compiled module that only retrieval and citing need
    from sentencex import get_sentence_boundaries

    spans = []
    for piece in get_sentence_boundaries(language, text):
        raw: str = piece["text"]
        start = piece["start_index"] + len(raw) - len(raw.lstrip())
        body = raw.strip()
        if body:
            spans.append(Span(body, start, start + len(body)))
    return spans
