"""Queries and outcomes as lines of JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrag.core.types import Citation, Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question

_PASSAGE = ("id", "record", "source", "start", "end", "score")
"""Where a passage stands; its text is in the collection."""


def query_line(query: Query) -> dict[str, Any]:
    """A query as it is judged, without its judgements of documents."""
    gold = query.gold
    return {"id": query.id, "text": query.question.text, "answers": list(gold.answers), "answerable": gold.answerable}


def read_query(line: Mapping[str, Any], relevant: Mapping[str, int]) -> Query:
    """A query from its line; KeyError or TypeError where it is none."""
    gold = Gold(tuple(line["answers"]), relevant, answerable=line["answerable"])
    return Query(Question(line["id"], line["text"]), gold)


def outcome_line(outcome: Outcome) -> dict[str, Any]:
    """What became of a query."""
    line: dict[str, Any] = {"id": outcome.query.id, "seconds": outcome.seconds}
    answered = outcome.answered
    if answered is None:
        return line | {"error": outcome.error}
    passages = answered.passages
    return line | {
        "answer": answered.answer,
        "abstained": answered.abstained,
        "citations": [_flat(citation) for citation in answered.citations],
        "unsupported": list(answered.unsupported),
        "passages": None if passages is None else [{name: getattr(each, name) for name in _PASSAGE} for each in passages],
        "signals": dict(answered.signals),
        "first_token": answered.first_token,
        "usage": {node: _flat(usage) for node, usage in answered.usage.items()},
        "saved": {node: _flat(usage) for node, usage in answered.saved.items()},
    }


def _flat(value: Citation | Usage) -> dict[str, Any]:
    """Its fields by name; `asdict` would take five times as long, which evaluations of a cassette would notice."""
    return {name: getattr(value, name) for name in value.__slots__}


def read_outcome(line: Mapping[str, Any], query: Query) -> Outcome:
    """What became of a query, from its line; its passages have no text. KeyError or TypeError where it is none."""
    if "error" in line:
        return Outcome(query, None, line["error"], line["seconds"])
    passages = line["passages"]
    if not isinstance(line["answer"], str | None):
        raise TypeError(f"an answer is a text, not {line['answer']!r}")
    answered = Answered(
        answer=line["answer"],
        passages=None if passages is None else tuple(Passage(text="", **passage) for passage in passages),
        abstained=line["abstained"],
        citations=tuple(Citation(**citation) for citation in line["citations"]),
        unsupported=tuple(line["unsupported"]),
        signals=line["signals"],
        first_token=line["first_token"],
        usage={node: Usage(**usage) for node, usage in line["usage"].items()},
        saved={node: Usage(**usage) for node, usage in line["saved"].items()},
    )
    return Outcome(query, answered, seconds=line["seconds"])
