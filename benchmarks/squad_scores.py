"""What the replies to SQuAD's questions are worth: rows of numbers with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agentrag.core.types import Passage, Usage
from agentrag.evaluation.asking.ask import Answered
from agentrag.evaluation.data.dataset import Query
from agentrag.evaluation.scoring.answers import contains, exact, f1, plain
from agentrag.evaluation.statistics.intervals import Interval, interval, share
from agentrag.retrieval.sentences import sentences


@dataclass(frozen=True)
class Reply:
    """The answer to a question and what the table needs besides; an empty one stands for a question that failed.

    Attributes:
        evidence: The sentences that the prompt showed.
        nearest: The sentence of the first passage that is nearest to question and answer.
    """

    answered: Answered = field(default_factory=Answered)
    evidence: Sequence[Passage] = ()
    nearest: str = ""

    @property
    def text(self) -> str:
        """The answer without citation marks; "" where it refused or failed."""
        return "" if self.answered.abstained else plain(self.answered.answer)

    @property
    def cost(self) -> Usage:
        """All calls of this reply as they cost when they were made."""
        return sum([*self.answered.usage.values(), *self.answered.saved.values()], Usage())


@dataclass(frozen=True)
class Asked:
    """All replies, by question id.

    Attributes:
        full: Replies in the default style.
        short: Replies to the answerable questions with style=short.
        failed: Why a question has no reply, by id.
    """

    answerable: Sequence[Query]
    unanswerable: Sequence[Query]
    full: Mapping[str, Reply]
    short: Mapping[str, Reply]
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One number: what it is, over how many of what, and its interval."""

    measure: str
    over: str
    value: Interval


def rows(asked: Asked) -> list[Row]:
    """The rows of the table; what has nothing to count over is left out."""
    return [*_answer_rows(asked), *_citation_rows(asked), *_refusal_rows(asked), *_cost_rows(asked)]


def losses(asked: Asked) -> list[tuple[str, int]]:
    """How many answerable questions still have their golden answer after each stage, in the default style."""
    stages: Mapping[str, Callable[[Query, Reply], bool]] = {
        "in the retrieved passages": lambda query, reply: _in_any(query, reply.answered.passages or ()),
        "in the evidence shown to the model": lambda query, reply: _in_any(query, reply.evidence),
        "in that evidence, and the question not refused": lambda query, reply: bool(
            _in_any(query, reply.evidence) and reply.text
        ),
        "in the answer": lambda query, reply: bool(contains(reply.text, query.gold.answers)),
    }
    pairs = list(_pairs(asked.answerable, asked.full))
    return [(name, sum(kept(query, reply) for query, reply in pairs)) for name, kept in stages.items()]


def _answer_rows(asked: Asked) -> Iterator[Row]:
    over = f"{len(asked.answerable)} questions"
    for name, style, replies, measure in (
        ("EM", "style=short", asked.short, exact),
        ("F1", "style=short", asked.short, f1),
        ("golden answer contained", "default style", asked.full, contains),
    ):
        values = [measure(reply.text, query.gold.answers) for query, reply in _pairs(asked.answerable, replies)]
        yield Row(f"{name}, {style}", over, interval(values))


def _citation_rows(asked: Asked) -> Iterator[Row]:
    pairs = [(query, reply) for query, reply in _pairs(asked.answerable, asked.full) if reply.text]
    if not pairs:
        return
    hits = [sum(contains(cited.quote, query.gold.answers) for cited in reply.answered.citations) for query, reply in pairs]
    counts = [len(reply.answered.citations) for _, reply in pairs]
    if sum(counts):
        yield Row("citation precision (the quote holds the golden answer)", f"{sum(counts)} citations", share(hits, counts))
    over = f"{len(pairs)} answered questions"
    whole = [_in_any(query, (reply.answered.passages or ())[:1]) for query, reply in pairs]
    yield Row("always cite rank 1, the whole passage", over, interval(whole))
    best = [contains(reply.nearest, query.gold.answers) for query, reply in pairs]
    yield Row("always cite rank 1, its nearest sentence", over, interval(best))
    said = [len(sentences(reply.text)) for _, reply in pairs]
    borne = [count - len(reply.answered.unsupported) for count, (_, reply) in zip(said, pairs, strict=True)]
    yield Row("answer sentences with a verified citation", f"{sum(said)} sentences", share(borne, said))


def _refusal_rows(asked: Asked) -> Iterator[Row]:
    for name, queries, replies in (
        ("unanswerable questions refused", asked.unanswerable, asked.full),
        ("answerable questions wrongly refused", asked.answerable, asked.full),
    ):
        if queries:
            refused = [float(reply.answered.abstained) for _, reply in _pairs(queries, replies)]
            yield Row(name, f"{len(queries)} questions", interval(refused))


def _cost_rows(asked: Asked) -> Iterator[Row]:
    over = f"{len(asked.answerable)} questions"
    for style, replies in (("default style", asked.full), ("style=short", asked.short)):
        costs = [reply.cost for _, reply in _pairs(asked.answerable, replies)]
        yield Row(f"seconds of calls a question, {style}", over, interval([cost.seconds for cost in costs]))
        yield Row(f"prompt tokens a question, {style}", over, interval([float(cost.prompt_tokens) for cost in costs]))
        yield Row(f"generated tokens a question, {style}", over, interval([float(cost.completion_tokens) for cost in costs]))


def _pairs(queries: Sequence[Query], replies: Mapping[str, Reply]) -> Iterator[tuple[Query, Reply]]:
    for query in queries:
        yield query, replies.get(query.id, Reply())


def _in_any(query: Query, passages: Sequence[Passage]) -> bool:
    return any(contains(passage.text, query.gold.answers) for passage in passages)
