"""Widen hits by the passages around them, and join what touches into one passage with its exact text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from agentrag.core.types import Passage
from agentrag.retrieval.database import Database
from agentrag.retrieval.passages import Row, beside


def widen(database: Database, hits: Sequence[tuple[Row, float]], by: int) -> list[Passage]:
    """Widen each hit by up to `by` passages on either side; hits that then touch become one passage.

    A passage never reaches over text that is not stored, nor over the end of a page, so that it stays an exact slice of
    one page. Its heading is the part of the headings that its pieces have in common; its score is its best hit's.

    Returns:
        At most as many passages as hits, best first.
    """
    taken: set[tuple[int, int]] = set()
    widened = []
    scores = {(row.document, row.ordinal): score for row, score in hits}
    for row, score in hits:
        if (row.document, row.ordinal) in taken:
            continue
        run = _run(database, row, by, scores.keys())
        taken.update((piece.document, piece.ordinal) for piece in run)
        best = max(scores.get((piece.document, piece.ordinal), score) for piece in run)
        widened.append(_joined(run, best, database.name))
    return widened


def _run(database: Database, hit: Row, by: int, hits: Collection[tuple[int, int]]) -> list[Row]:
    """The longest run of touching passages around a hit in which every passage is within `by` of some hit."""
    marks = {ordinal for document, ordinal in hits if document == hit.document}
    first = last = hit.ordinal
    while near := {mark for mark in marks if first - 2 * by - 1 <= mark <= last + 2 * by + 1} - set(range(first, last + 1)):
        first, last = min(first, *near), max(last, *near)
    rows = beside(database, hit.document, first - by, last + by)
    wanted = [row for row in rows if any(abs(row.ordinal - mark) <= by for mark in marks)]
    place = next(i for i, row in enumerate(wanted) if row.ordinal == hit.ordinal)
    begin, end = place, place
    while begin > 0 and touches(wanted[begin - 1], wanted[begin]):
        begin -= 1
    while end + 1 < len(wanted) and touches(wanted[end], wanted[end + 1]):
        end += 1
    return wanted[begin : end + 1]


def touches(left: Row, right: Row) -> bool:
    """Whether the text between two passages is known: they overlap, meet, or the gap is stored; on one page."""
    gap = right.start - left.stop
    together = gap <= 0 or len(right.before) == gap
    return right.ordinal == left.ordinal + 1 and right.page == left.page and together


def _joined(run: Sequence[Row], score: float, collection: str) -> Passage:
    text, stop = run[0].text, run[0].stop
    for row in run[1:]:
        gap = row.start - stop
        text += row.before + row.text if gap > 0 else row.text[-gap:]
        stop = max(stop, row.stop)
    headings = [row.heading for row in run]
    return replace(run[0].passage(score, collection), text=text, end=stop, heading=common_heading(headings))


def common_heading(headings: Sequence[str]) -> str:
    """What headings have in common from the outermost one on.

    >>> common_heading(["Boats > Winter", "Boats > Summer"])
    'Boats'
    """
    kept = []
    for parts in zip(*(heading.split(" > ") for heading in headings), strict=False):
        if len(set(parts)) > 1:
            break
        kept.append(parts[0])
    return " > ".join(kept)
