"""Cut documents into passages: exact offsets, whole paragraphs and sentences, never more tokens than the embedder reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from agentrag.ingest.documents import Block
from agentrag.retrieval.records import Chunk
from agentrag.retrieval.sentences import sentences

CHARACTERS_PER_TOKEN = 16
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_SLICE = 1 << 14

_Span = tuple[int, int]


@dataclass(frozen=True)
class Limit:
    """How large a passage may be.

    Attributes:
        tokens: Most tokens of a passage.
        count: Tokens of a text. A passage has at most 16 characters a token besides, because tokenizers take an
            overlong word for one unknown token.
    """

    tokens: int
    count: Callable[[str], int]

    def size(self, text: str) -> int:
        """Tokens that a text counts for."""
        return max(self.count(text), -(-len(text) // CHARACTERS_PER_TOKEN))

    def holds(self, text: str) -> bool:
        """Whether a text fits in one passage."""
        return len(text) <= self.tokens * CHARACTERS_PER_TOKEN and self.count(text) <= self.tokens

    def small(self, units: Sequence[_Unit]) -> bool:
        """Whether units make less than an eighth of a passage."""
        return sum(unit.size for unit in units) * 8 < self.tokens


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut further: a paragraph, a sentence or a part of an overlong one; `before` is white space."""

    before: str
    text: str
    start: int
    size: int
    page: int | None
    heading: str


def passages(blocks: Iterable[Block], limit: Limit) -> Iterator[Chunk]:
    """Cut blocks into passages while they are read.

    Every character that is not white space is in exactly one passage, in order. A passage stays on one page and under
    one top-level heading; below that, headings begin passages unless the text before is small (under an eighth of the
    limit). Paragraphs stay whole where they fit in a passage, then sentences, then words. A small rest joins the
    passage before it or shares with it.

    Args:
        blocks: In order, each beginning where the one before ends.
        limit: Of each passage.

    Cost: memory for one block and two passages; every text is counted some five times.
    """
    most = limit.tokens * CHARACTERS_PER_TOKEN
    for (page, _), section in groupby(_units(blocks, limit), key=lambda unit: (unit.page, unit.heading.split(" > ")[0])):
        for units in _evened(_packed(section, limit), limit):
            first, text = units[0], _joined(units)
            before = first.before if len(first.before) <= most else ""
            yield Chunk(text, first.start, first.start + len(text), page, _main_heading(units), before)


def _joined(units: Sequence[_Unit]) -> str:
    return "".join([units[0].text, *(unit.before + unit.text for unit in units[1:])])


def _main_heading(units: Sequence[_Unit]) -> str:
    """The heading that most of the text stands under; a heading's own line counts little."""
    shares: Counter[str] = Counter()
    for unit in units:
        shares[unit.heading] += len(unit.text)
    return shares.most_common(1)[0][0]


def _packed(units: Iterable[_Unit], limit: Limit) -> Iterator[list[_Unit]]:
    """Group units, each group as many as fit. A small group, such as a heading alone, takes part of what follows."""
    group: list[_Unit] = []
    for unit in units:
        alone = group and limit.small(group) and not _takes(group, unit, limit)
        for piece in _sentences(unit, limit) if alone else [unit]:
            if group and not _takes(group, piece, limit):
                yield group
                group = []
            group.append(piece)
    if group:
        yield group


def _takes(group: list[_Unit], unit: _Unit, limit: Limit) -> bool:
    if unit.heading != group[-1].heading and not limit.small(group):
        return False
    return limit.holds(_joined([*group, unit]))


def _evened(groups: Iterable[list[_Unit]], limit: Limit) -> Iterator[list[_Unit]]:
    """Pass groups on, but join or even out the last two where the last is small."""
    before: list[_Unit] = []
    last: list[_Unit] = []
    for group in groups:
        if before:
            yield before
        before, last = last, group
    if before and limit.small(last):
        if limit.holds(_joined(before + last)):
            before, last = [], before + last
        elif before[-1].heading == last[0].heading:
            parts = [*before[:-1], *_sentences(before[-1], limit)]
            before, last = _halves(parts + last, len(parts), limit)
    yield from filter(None, (before, last))


def _halves(units: list[_Unit], cut: int, limit: Limit) -> tuple[list[_Unit], list[_Unit]]:
    """Cut at the most even place where both sides fit; `cut` is such a place."""
    whole = sum(unit.size for unit in units)
    best, least = cut, abs(whole - 2 * sum(unit.size for unit in units[:cut]))
    left = 0
    for place in range(1, len(units)):
        left += units[place - 1].size
        difference = abs(whole - 2 * left)
        if difference < least and limit.holds(_joined(units[:place])) and limit.holds(_joined(units[place:])):
            best, least = place, difference
    return units[:best], units[best:]


def _units(blocks: Iterable[Block], limit: Limit) -> Iterator[_Unit]:
    most = limit.tokens * CHARACTERS_PER_TOKEN
    before = ""
    for block in blocks:
        end = 0
        for start, stop in _spans(block.text, limit):
            text = block.text[start:stop]
            before += block.text[end:start]
            yield _Unit(before, text, block.start + start, limit.size(text), block.page, block.heading)
            before, end = "", stop
        before = (before + block.text[end:])[: most + 1]  # white space that no passage can hold separates passages anyway


def _sentences(unit: _Unit, limit: Limit) -> list[_Unit]:
    """A unit cut into its sentences."""
    parts: list[_Unit] = []
    end = 0
    for span in sentences(unit.text):
        before = unit.text[end : span.start] if parts else unit.before
        parts.append(_Unit(before, span.text, unit.start + span.start, limit.size(span.text), unit.page, unit.heading))
        end = span.end
    return parts


def _spans(text: str, limit: Limit) -> Iterator[_Span]:
    """Spans of the units of a text, without white space at their ends."""
    for start, end in _paragraphs(text):
        if limit.holds(text[start:end]):
            yield start, end
            continue
        for sentence in sentences(text[start:end]):
            if limit.holds(sentence.text):
                yield start + sentence.start, start + sentence.end
            else:
                yield from ((start + sentence.start + a, start + sentence.start + b) for a, b in _pieces(sentence.text, limit))


def _paragraphs(text: str) -> Iterator[_Span]:
    begin = 0
    for gap in [*(match.span() for match in _PARAGRAPHS.finditer(text)), (len(text), len(text))]:
        body = text[begin : gap[0]]
        start = begin + len(body) - len(body.lstrip())
        if body.strip():
            yield start, begin + len(body.rstrip())
        begin = gap[1]


def _pieces(sentence: str, limit: Limit) -> Iterator[_Span]:
    """Spans of the parts of an overlong sentence, cut at the best places there are."""
    # lazy: only overlong sentences need it
    from semchunk.semchunk import chunk

    for base in range(0, len(sentence), _SLICE):  # it looks at the whole text again and again
        part = sentence[base : base + _SLICE]
        spans = cast("list[_Span]", chunk(part, limit.tokens, limit.size, memoize=False, offsets=True)[1])
        yield from ((base + start, base + end) for start, end in spans if part[start:end].strip())
