"""Questions and what became of them, in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentrag.core.types import Citation, Passage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.statistics.intervals import Share

REFUSED = Answered("not in the documents", abstained=True)


def query(name: str, answers: tuple[str, ...] = ("gold",), relevant: Mapping[str, int] | None = None) -> Query:
    return Query(Question(name, "?"), Gold(answers, {"d1": 1} if relevant is None else relevant))


def unanswerable(name: str) -> Query:
    return Query(Question(name, "?"), Gold(answerable=False))


def failed(asked: Query) -> Outcome:
    return Outcome(asked, None, error="it broke")


def found(*records: str) -> tuple[Passage, ...]:
    return tuple(Passage(str(n), "text", f"corpus#{record}", record=record) for n, record in enumerate(records))


def cited(*sources: str, quote: str = "") -> tuple[Citation, ...]:
    return tuple(Citation(n, source, None, "", 0, len(quote), quote) for n, source in enumerate(sources, 1))


def quoted(*quotes: str) -> tuple[Citation, ...]:
    return tuple(Citation(n, "corpus#d1", None, "", 0, len(quote), quote) for n, quote in enumerate(quotes, 1))


def value(shares: Sequence[Share] | Mapping[str, Share]) -> float:
    """The metric that shares add up to."""
    each = list(shares.values() if isinstance(shares, Mapping) else shares)
    return sum(share.part for share in each) / sum(share.whole for share in each)
