"""Evaluations that nobody ran: what they answered follows from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from agentrag.core.types import Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.evaluation import Evaluation

HOSTILE = '<script>alert(1)</script> & "quoted" | `x`'
ABOUT: Mapping[str, Any] = {
    "created": "2026-05-01T10:00:00+00:00",
    "data": {"name": "rivers", "sha256": {"corpus.jsonl": "ab" * 32}},
    "environment": {"python": "3.12.1", "packages": {"agentrag": "0.1.0", "numpy": "2.4.6"}},
}


def parsed(drawn: str) -> ElementTree.Element:
    """A picture as its elements."""
    return ElementTree.fromstring(drawn)  # noqa: S314  # it is our own


def query(number: int, *, answerable: bool = True, text: str = "") -> Query:
    gold = Gold(("Danube",), {"d1": 1}) if answerable else Gold(answerable=False)
    return Query(Question(f"q{number:03}", text or f"Which river is number {number}?"), gold)


def found(*documents: str) -> tuple[Passage, ...]:
    return tuple(Passage(name, "", name, record=name) for name in documents)


def made(
    name: str,
    skill: float,
    n: int = 60,
    tokens: int = 500,
    unanswerable: int = 0,
    failures: int = 0,
    signals: Mapping[str, str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """An evaluation of a graph that is right in a share `skill` of the questions."""
    setup = {"system": name, "data": "rivers", "half": "report", "inputs": {"style": "short"}}
    told = {
        **ABOUT,
        "setup": setup,
        "command": f"agentrag eval {name} --data rivers --half report -i style=short",
        "system": {"kind": "graph", "name": name, "sha256": "cd" * 32},
        "models": {"names": {"writer": "local"}, "sha256": {}},
        "signals": signals or {},
        **(about or {}),
    }
    outcomes = [_outcome(number, skill, tokens, number >= n - unanswerable, signals or {}) for number in range(n)]
    for number in range(failures):
        outcomes[number] = Outcome(outcomes[number].query, None, error="the server went away")
    return Evaluation(name, told, tuple(outcomes))


def _outcome(number: int, skill: float, tokens: int, nothing: bool, signals: Mapping[str, str]) -> Outcome:
    chance = random.Random(number)
    known, retrieved = chance.random() < skill, chance.random() < 0.9 * skill + 0.1
    asked = query(number, answerable=not nothing, text=HOSTILE if number == 3 else "")
    documents = found("d1", "d2") if retrieved else found("d2", "d3", "d1") if chance.random() < 0.5 else found("d2")
    odds = chance.gauss(2.0 if retrieved and not nothing else -1.0, 1.5)
    usage = {"write": Usage(1, int(tokens * chance.uniform(0.8, 1.2)), 20, seconds=tokens / 400 * chance.uniform(0.9, 1.4))}
    answered = Answered(
        "The Danube." if known else "The Rhine, I think.",
        documents,
        abstained=nothing and chance.random() < 0.7,
        usage=usage,
        signals=dict.fromkeys(signals, odds),
    )
    return Outcome(asked, answered, seconds=usage["write"].seconds + 0.02)
