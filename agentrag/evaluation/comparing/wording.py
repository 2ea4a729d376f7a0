"""A comparison in words: tables, verdicts and the questions that moved, for a terminal and as Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentrag.evaluation.comparing.results import Comparison, Move, Pair, Row
from agentrag.evaluation.statistics.paired import LEVEL, Paired

LONGEST = 80
"""Characters of a question that are shown."""

_HEAD = ("difference", "95 % interval", "p", "Holm", "effect", "detectable", "verdict")
_LEFT = frozenset({"metric", "verdict", "id", "question"})
_MARKUP = re.compile(r"([\\`*\[\]<>|])")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the report: a title, a table with its head, sentences after it."""

    level: int
    title: str
    table: Sequence[Sequence[str]] = ()
    sentences: Sequence[str] = ()


def text_of(comparison: Comparison) -> str:
    """The comparison as plain text, without a line end at its end; equal comparisons give equal texts.

    For each pair: an aligned table, a sentence of verdict per quality metric, notes, the questions that moved most.
    """
    blocks = []
    for part in parts_of(comparison):
        blocks.append("\n".join([part.title, *_aligned(part.table)]))
        if part.sentences:
            blocks.append("\n".join(part.sentences))
    return "\n\n".join(blocks)


def markdown_of(comparison: Comparison) -> str:
    """The same as `text_of` in Markdown, with a line end at its end."""
    blocks = []
    for part in parts_of(comparison):
        blocks.append("#" * part.level + " " + _escaped(part.title))
        if part.table:
            blocks.append("\n".join(_markdown_table(part.table)))
        if part.sentences:
            blocks.append("\n".join(f"- {_escaped(sentence)}" for sentence in part.sentences))
    return "\n\n".join(blocks) + "\n"


def parts_of(comparison: Comparison) -> Iterator[Part]:
    for pair in comparison.pairs:
        verdicts = [sentence(row, comparison.tests) for row in pair.rows if not row.cost]
        notes = [f"Note: {note}" for note in pair.notes]
        yield Part(2, f"{pair.system} against {pair.baseline}", _rows(pair), [*verdicts, *notes])
        if pair.moved:
            yield _moves(pair, pair.moved.metric, "rose", pair.moved.up)
            yield _moves(pair, pair.moved.metric, "fell", pair.moved.down)


def _rows(pair: Pair) -> list[list[str]]:
    if not pair.rows:
        return []
    shown = [row for row in pair.rows if not (row.cost and row.paired.before == row.paired.after == 0.0)]
    return [["metric", "n", pair.baseline, pair.system, *_HEAD], *map(_cells, shown)]


def _cells(row: Row) -> list[str]:
    found = row.paired
    places = _places(found) if row.cost else 3
    before, after, difference, low, high = (
        _number(value, places) for value in (found.before, found.after, found.difference, found.low, found.high)
    )
    signed = f"+{difference}" if found.difference > 0 else difference
    tested = ["", ""] if row.p_holm is None else [_p(found.p), _p(row.p_holm)]
    detectable = "" if row.cost else "none" if math.isinf(found.detectable) else _number(found.detectable)
    sizes = [f"{found.effect:.2f}", detectable]
    return [row.metric, f"{found.n:,}", before, after, signed, f"{low} to {high}", *tested, *sizes, row.verdict]


def _places(found: Paired) -> int:
    """Decimals that give four digits of a cost, which may be of any size."""
    scale = max(abs(found.before), abs(found.after))
    return min(max(3 - math.floor(math.log10(scale)), 0), 9) if scale else 0


def sentence(row: Row, tests: int) -> str:
    """What a test of a quality metric found, in a sentence.

    Args:
        row: The metric; not a cost.
        tests: Number of tests that its p is adjusted for.
    """
    found = row.paired
    both = f"{row.baseline} and {row.system}"
    p = f"p {_p(found.p if row.p_holm is None else row.p_holm)}" + (f" after Holm over {tests} tests" if tests > 1 else "")
    if row.verdict in ("better", "worse"):
        size, low, high = (_number(value) for value in _upwards(row))
        shown = f"{row.system} is {row.verdict} than {row.baseline} by {size} (95 % interval {low} to {high}, {p})"
    elif not found.differing:
        shown = f"{both} do not differ on {_any_of(found.n)}"
    elif not round(found.low, 12) and not round(found.high, 12):
        shown = f"{both} have the same value, though they differ on {found.differing:,} of {_of(found.n)}"
    elif math.isinf(found.detectable):
        shown = f"no difference shown between {both}; {_questions(found.n)} too few to show one"
    elif not found.detectable:
        shown = f"no difference shown between {both} ({p}), though every question differs by {_number(abs(found.difference))}"
    else:
        shown = (
            f"no difference shown between {both}; with {found.n:,} questions a difference of {_number(found.detectable)} "
            "would be found in four of five such comparisons" + (", tested alone" if tests > 1 else "")
        )
    return f"{row.metric}: {shown}."


def _upwards(row: Row) -> tuple[float, float, float]:
    """Size of a difference and its interval, turned so that the size is positive."""
    found = row.paired
    return (found.difference, found.low, found.high) if found.difference > 0 else (-found.difference, -found.high, -found.low)


def _of(n: int) -> str:
    return "1 question" if n == 1 else f"{n:,} questions"


def _any_of(n: int) -> str:
    return "the one question" if n == 1 else f"any of the {n:,} questions"


def _questions(n: int) -> str:
    return "1 question is" if n == 1 else f"{n:,} questions are"


def _moves(pair: Pair, metric: str, way: str, moves: Sequence[Move]) -> Part:
    if not moves:
        return Part(3, f"{metric} {way} on no question")
    rows = [[move.id, _number(move.before), _number(move.after), _shortened(move.text)] for move in moves]
    head = ["id", pair.baseline, pair.system, "question"]
    return Part(3, f"{metric} {way} most from {pair.baseline} to {pair.system}", [head, *rows])


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"


def _number(value: float, places: int = 3) -> str:
    """A number with so many decimals; what rounds to 0 has no sign.

    >>> _number(0.0456), _number(-0.0001), _number(12345.6, 0)
    ('0.046', '0.000', '12,346')
    """
    text = f"{value:,.{places}f}"
    return text if any(digit in text for digit in "123456789") else text.lstrip("-")


def _p(p: float) -> str:
    """A p value with three places; never rounded across the level that decides.

    >>> _p(0.0042), _p(0.00001), _p(0.0499), _p(1.0)
    ('.004', '< .001', '< .05', '1.000')
    """
    if p < 0.001:
        return "< .001"
    if p < LEVEL <= round(p, 3):
        return f"< {LEVEL:.2f}".replace("0.", ".")
    return f"{p:.3f}".removeprefix("0")


def _aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: texts to the left, numbers to the right. They are never cut or wrapped."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        sized = zip(table[0], row, widths, strict=True)
        cells = [cell.ljust(width) if head in _LEFT else cell.rjust(width) for head, cell, width in sized]
        yield "  ".join(cells).rstrip()


def _markdown_table(table: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [f"| {' | '.join(map(_escaped, row))} |" for row in table]
    yield lines[0]
    yield f"|{'|'.join(':---' if head in _LEFT else '---:' for head in table[0])}|"
    yield from lines[1:]


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
