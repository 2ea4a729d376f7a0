"""Find the evidence of every sentence of an answer in the passages, whatever the model says of its sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, TemplateText, node
from agentrag.core.ports import Vectors
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.core.types import Citation, Passage
from agentrag.retrieval.sentences import Span, sentences
from agentrag.retrieval.terms import content_terms, coverage, rarity, terms

UNSUPPORTED = "[?]"
_CLAIMED = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"\b[A-Z][\w-]+")
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

    A quote scores the share of the claim's content words that it holds, plus a part of its cosine to the claim. Rare
    words count more, words that the question does not say `novelty` times as much, numbers and names among them twice
    that. It is support when that share reaches `threshold` and it holds every number of the claim that the question
    does not say; where one sentence does not suffice, a pair may.
    Reads `answer`, the channel `among`, and the holes of `question`; writes `answer` (with [n] in supported and [?] in
    unsupported sentences; bare where `span`), `citations` (offsets into the source's text; `quote` is that slice),
    `unsupported`, `abstained` (false). Source markers that the model wrote are dropped.
    Cost: one embedding call over the sentences, none without passages; vectors of sentences seen before come from the cache.
    """

    among: Literal["passages", "evidence"] = Field("passages", description="where quotes may come from")
    question: TemplateText = "{question}"
    threshold: float = Field(0.6, ge=0, le=1, description="least share of a claim that its evidence holds")
    novelty: float = Field(3.0, ge=1, description="weight of words that the question does not say")
    cosine: float = Field(0.5, ge=0, description="weight of the cosine between claim and quote")
    span: bool = Field(False, description="the answer is a bare span: one claim, read with the question, left unmarked")

    def reads(self) -> frozenset[str]:
        return frozenset({"answer", self.among})

    def writes(self) -> frozenset[str]:
        return frozenset({"answer", "citations", "unsupported", "abstained"})

    async def __call__(self, state: State, deps: Deps) -> State:
        answer = _CLAIMED.sub("", state["answer"]).strip()
        question = Template(self.question).fill(state, render).strip()
        if self.span:
            answer = answer.strip("\"'").removesuffix(".")
        spans = [Span(answer, 0, len(answer))] * bool(answer) if self.span else sentences(answer)
        candidates = list(_candidates(state[self.among]))
        quotes: list[list[Candidate]] = [[] for _ in spans]
        if spans and candidates:
            claims = [f"{question} {span.text}" if self.span else span.text for span in spans]
            vectors = await deps.embed([*claims, *(candidate.span.text for candidate in candidates)])
            quotes = self._quotes(question, spans, candidates, vectors)
        numbered = _number(quotes)
        return {
            "answer": answer if self.span else _marked(answer, spans, numbered),
            "citations": _unique(numbered),
            "unsupported": [span.text for span, cited in zip(spans, numbered, strict=True) if not cited],
            "abstained": False,
        }

    def _quotes(
        self, question: str, spans: Sequence[Span], candidates: Sequence[Candidate], vectors: Vectors
    ) -> list[list[Candidate]]:
        rare = rarity([candidate.words for candidate in candidates])
        cosines = vectors[: len(spans)] @ vectors[len(spans) :].T
        found = []
        for span, row in zip(spans, cosines, strict=True):
            claim = _claim(span.text, question, rare, self.novelty)
            found.append(self._support(claim, candidates, (self.cosine * row).tolist()))
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
        return Calls(embed=1) if sizes.items("answer") and sizes.items(self.among) else Calls()

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"citations": Size(2), "unsupported": Size(1)} if self.span else {}


def _claim(text: str, question: str, rare: Callable[[str], float], novelty: float) -> Claim:
    said = content_terms(question)
    names = frozenset(terms(" ".join(_NAME.findall(text))))

    def weight(term: str) -> float:
        if term in said:
            return rare(term)
        return rare(term) * novelty * (2.0 if term in names or term.isdigit() else 1.0)

    numbers = frozenset(_NUMBER.findall(text)) - frozenset(_NUMBER.findall(question))
    return Claim(content_terms(text) or frozenset(terms(text)), weight, numbers)


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
