"""Find the evidence of every sentence of an answer in the passages, whatever the model says of its sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Calls, Node, Sizes, TemplateText, node
from agentrag.core.ports import Vectors
from agentrag.core.rendering import render
from agentrag.core.template import Template
from agentrag.core.types import Citation, Passage
from agentrag.retrieval.sentences import Span, sentences
from agentrag.retrieval.terms import content_terms, coverage, rarity, terms

UNSUPPORTED = "[?]"
_CLAIMED = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_END = re.compile(r"[.!?:]*[\"'\u201d\u2019)]*$")


@dataclass(frozen=True)
class Candidate:
    """A sentence of a passage that may be quoted."""

    passage: Passage
    span: Span
    words: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Claim:
    """A sentence of the answer: the words that its evidence should hold."""

    span: Span
    wanted: frozenset[str]
    weight: Callable[[str], float]
    numbers: frozenset[str]

    def covered(self, quotes: Sequence[Candidate]) -> float:
        """Share, 0..1, of the claim's weight that the quotes hold; 0 where a number of the claim is in none of them."""
        if not self.numbers <= {number for quote in quotes for number in _NUMBER.findall(quote.span.text)}:
            return 0.0
        return coverage(self.wanted, frozenset().union(*(quote.words for quote in quotes)), self.weight)


@node("cite")
class Cite(Node):
    """Cite the sentence that bears out each sentence of the answer, and mark sentences that nothing bears out.

    A quote scores the share of the claim's content words that it holds (rare words and words that the question does
    not already say count more) plus parts of its cosine to the claim and to the question. It counts as support when that share
    reaches `threshold` and it holds every number of the claim that the question does not say; where one sentence does
    not suffice, the best pair may.
    Reads `answer`, the channel `among`, and the holes of `question`; writes `answer` (with [n] behind supported and [?] behind
    unsupported sentences where `markers`), `citations` (offsets into the source's text; `quote` is that slice),
    `unsupported`, `abstained` (false). Source markers that the model wrote are dropped.
    Cost: one embedding call over the sentences; vectors of sentences seen before come from the cache.
    """

    among: Literal["passages", "evidence"] = Field("passages", description="where quotes may come from")
    question: TemplateText = "{question}"
    threshold: float = Field(0.5, ge=0, le=1, description="least share of a claim that its evidence holds")
    novelty: float = Field(3.0, ge=1, description="weight of words that the question does not say")
    claim_cosine: float = Field(0.3, ge=0, description="weight of the cosine between claim and quote")
    question_cosine: float = Field(0.2, ge=0, description="weight of the cosine between question and quote")
    markers: bool = Field(True, description="write [n] and [?] into the answer")

    def reads(self) -> frozenset[str]:
        return frozenset({"answer", self.among})

    def writes(self) -> frozenset[str]:
        return frozenset({"answer", "citations", "unsupported", "abstained"})

    async def __call__(self, state: State, deps: Deps) -> State:
        answer = _CLAIMED.sub("", state["answer"]).strip()
        question = Template(self.question).fill(state, render).strip()
        spans = sentences(answer)
        candidates = list(_candidates(state[self.among]))
        quotes: list[list[Candidate]] = [[] for _ in spans]
        if spans and candidates:
            vectors = await deps.embed([question, *(s.text for s in spans), *(c.span.text for c in candidates)])
            quotes = self._quotes(question, spans, candidates, vectors)
        numbered = _number(quotes)
        return {
            "answer": _marked(answer, spans, numbered) if self.markers else answer,
            "citations": _unique(numbered),
            "unsupported": [span.text for span, cited in zip(spans, numbered, strict=True) if not cited],
            "abstained": False,
        }

    def _quotes(
        self, question: str, spans: Sequence[Span], candidates: Sequence[Candidate], vectors: Vectors
    ) -> list[list[Candidate]]:
        said, numbers = content_terms(question), frozenset(_NUMBER.findall(question))
        rare = rarity([candidate.words for candidate in candidates])

        def weight(term: str) -> float:
            return rare(term) * (1.0 if term in said else self.novelty)

        quotes_at = 1 + len(spans)
        to_question = np.asarray(vectors[quotes_at:] @ vectors[0])
        found = []
        for place, span in enumerate(spans, start=1):
            claim = Claim(span, content_terms(span.text), weight, frozenset(_NUMBER.findall(span.text)) - numbers)
            bonus = self.claim_cosine * (vectors[quotes_at:] @ vectors[place]) + self.question_cosine * to_question
            found.append(self._support(claim, candidates, bonus.tolist()))
        return found

    def _support(self, claim: Claim, candidates: Sequence[Candidate], bonus: Sequence[float]) -> list[Candidate]:
        """The best single quote where it suffices, else the best pair that holds its first half, else nothing."""
        plain = [coverage(claim.wanted, candidate.words, claim.weight) for candidate in candidates]
        ranked = sorted(range(len(candidates)), key=lambda i: (-(plain[i] + bonus[i]), i))
        first = candidates[ranked[0]]
        for one in ranked[:3]:
            if claim.covered([candidates[one]]) >= self.threshold:
                return [candidates[one]]
        pairs = [[first, candidates[other]] for other in ranked[1:]]
        best = max(pairs, key=claim.covered, default=[])
        return best if best and claim.covered(best) >= self.threshold else []

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(embed=1)


def _candidates(passages: Sequence[Passage]) -> Iterator[Candidate]:
    for passage in passages:
        label = frozenset(terms(f"{passage.title} {passage.heading}"))
        for span in sentences(passage.text):
            yield Candidate(passage, span, frozenset(terms(span.text)) | label)


def _number(quotes: Sequence[Sequence[Candidate]]) -> list[list[Citation]]:
    """Number the quotes by first use; one quote has one number."""
    numbers: dict[tuple[str, int, int], int] = {}
    numbered = []
    for cited in quotes:
        row = []
        for quote in cited:
            passage, span = quote.passage, quote.span
            place = (passage.source, passage.start + span.start, passage.start + span.end)
            n = numbers.setdefault(place, len(numbers) + 1)
            row.append(Citation(n, passage.source, passage.page, passage.heading, place[1], place[2], span.text))
        numbered.append(sorted(row, key=lambda citation: citation.n))
    return numbered


def _unique(numbered: Sequence[Sequence[Citation]]) -> list[Citation]:
    by_number = {citation.n: citation for row in numbered for citation in row}
    return [by_number[n] for n in sorted(by_number)]


def _marked(answer: str, spans: Sequence[Span], numbered: Sequence[Sequence[Citation]]) -> str:
    """Write the markers before the punctuation that ends each sentence, so that they stay part of it."""
    for span, cited in reversed(list(zip(spans, numbered, strict=True))):
        marker = "".join(f"[{citation.n}]" for citation in cited) or UNSUPPORTED
        tail = _END.search(span.text)
        cut = span.start + (tail.start() if tail else len(span.text))
        answer = f"{answer[:cut]} {marker}{answer[cut:]}"
    return answer
