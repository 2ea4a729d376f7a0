"""Keep the sentences of passages that bear on the question: a short prompt with what a long one would hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import ITEM_BYTES, Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.core.types import Passage
from agentrag.retrieval.sentences import Span, sentences
from agentrag.retrieval.terms import content_terms, coverage, rarity, term_set

CHARACTERS_PER_TOKEN = 4.4
"""English prose in the tokens of common models; used for bounds only."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of the passage at `rank` (from 0); `place` numbers all sentences in reading order."""

    rank: int
    place: int
    span: Span


@node("evidence")
class Evidence(Node):
    """Choose the best sentences of all passages, within a bound of tokens.

    A sentence scores the mean of its cosine to the query and of the share of the query's words (by rarity among the
    retrieved sentences) that it or its passage's title holds, less a little for each rank of its passage.
    Reads the holes of `query`, and `passages`; writes `evidence` (exact slices of passages, in the passages' order) and
    `relevance` (the best score of a chosen sentence, before its rank counts; 0 without passages).
    Cost: one embedding call over the sentences, none without passages; vectors of sentences seen before come from the cache.
    """

    query: TemplateText = "{question}"
    tokens: int = Field(230, ge=20, description="most tokens of chosen text, estimated at 4.4 characters each")
    rank_weight: float = Field(0.03, ge=0, le=1, description="what each rank of the passage costs a sentence")

    def reads(self) -> frozenset[str]:
        return frozenset({"passages"})

    def writes(self) -> frozenset[str]:
        return frozenset({"evidence", "relevance"})

    async def __call__(self, state: State, deps: Deps) -> State:
        passages: list[Passage] = state["passages"]
        found = list(_sentences(passages))
        if not found:
            return {"evidence": [], "relevance": 0.0}
        query = Template(self.query).fill(state, render).strip()
        scores = await self._scores(query, passages, found, deps)
        ranked = [score - self.rank_weight * sentence.rank for score, sentence in zip(scores, found, strict=True)]
        chosen = _within(found, ranked, self.tokens * CHARACTERS_PER_TOKEN)
        return {"evidence": list(_slices(passages, chosen)), "relevance": max(scores[sentence.place] for sentence in chosen)}

    async def _scores(self, query: str, passages: Sequence[Passage], found: Sequence[Sentence], deps: Deps) -> list[float]:
        vectors = await deps.embed([query, *(sentence.span.text for sentence in found)])
        cosines = np.asarray(vectors[1:] @ vectors[0])
        wanted = content_terms(query)
        held = [term_set(sentence.span.text) for sentence in found]
        weight = rarity(held)
        labels = [term_set(f"{passage.title} {passage.heading}") for passage in passages]
        return [
            0.5 * float(cosine)
            + 0.5 * coverage(wanted, words | labels[sentence.rank], weight)
            - self.rank_weight * sentence.rank
            for sentence, cosine, words in zip(found, cosines, held, strict=True)
        ]

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(embed=1) if sizes.items("passages") else Calls()

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        """Slices show no more than their passages, whose labels they share; white space between sentences is not counted."""
        found, chosen = sizes.size("passages"), int(self.tokens * CHARACTERS_PER_TOKEN)
        whole = found.total + ITEM_BYTES * chosen
        if not sizes.sure:
            whole = min(whole, chosen + found.items * sizes.scale.label)
        return {"evidence": Size(chosen, found.bytes, whole)}


def _sentences(passages: Sequence[Passage]) -> Iterator[Sentence]:
    place = 0
    for rank, passage in enumerate(passages):
        for span in sentences(passage.text):
            yield Sentence(rank, place, span)
            place += 1


def _within(found: Sequence[Sentence], scores: Sequence[float], characters: float) -> list[Sentence]:
    """The best sentences that fit, in reading order; the best one is there even where it alone is too long."""
    chosen: list[Sentence] = []
    used = 0
    for _, sentence in sorted(zip(scores, found, strict=True), key=lambda pair: (-pair[0], pair[1].place)):
        length = len(sentence.span.text)
        if not chosen or used + length <= characters:
            chosen.append(sentence)
            used += length
    return sorted(chosen, key=lambda sentence: sentence.place)


def _slices(passages: Sequence[Passage], chosen: Sequence[Sentence]) -> Iterator[Passage]:
    """Join neighbouring sentences of one passage to one slice of it."""
    run: list[Sentence] = []
    for sentence in chosen:
        if run and (sentence.rank != run[-1].rank or sentence.place != run[-1].place + 1):
            yield _slice(passages[run[0].rank], run)
            run = []
        run.append(sentence)
    if run:
        yield _slice(passages[run[0].rank], run)


def _slice(passage: Passage, run: Sequence[Sentence]) -> Passage:
    start, end = run[0].span.start, run[-1].span.end
    return replace(passage, text=passage.text[start:end], start=passage.start + start, end=passage.start + end)
