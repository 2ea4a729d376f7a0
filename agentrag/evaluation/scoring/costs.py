"""What a question costs: calls, tokens, money, time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.statistics.intervals import Share


def cost_scores(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Share]]:
    """What each question cost, refusals too; a failed one is left out, since nobody knows what it cost.

    calls, tokens, usd and seconds are those of the calls when they were made, so that a replay of recorded calls has the
    same. Where no question tells any, nothing is known of them. latency and first_token are those of questions that were
    timed and of which no call was reused: a replay has none.
    """
    columns: dict[str, dict[str, Share]] = {}
    there = [(outcome, outcome.answered) for outcome in outcomes if outcome.answered]
    told = any(answered.usage or answered.saved for _, answered in there)
    for outcome, answered in there:
        for name, value in [*(_paid(answered) if told else ()), *_waited(outcome, answered)]:
            columns.setdefault(name, {})[outcome.query.id] = Share(value)
    return columns


def cost(answered: Answered) -> Usage:
    """All calls of a question as they cost when they were made."""
    return sum([*answered.usage.values(), *answered.saved.values()], Usage())


def _paid(answered: Answered) -> Iterator[tuple[str, float]]:
    whole, parts = cost(answered), [*answered.usage.values(), *answered.saved.values()]
    yield "calls", whole.calls
    yield "tokens", whole.prompt_tokens + whole.completion_tokens
    # whatever the order in which nodes are summed
    yield "usd", math.fsum(part.usd for part in parts)
    yield "seconds", math.fsum(part.seconds for part in parts)


def _waited(outcome: Outcome, answered: Answered) -> Iterator[tuple[str, float]]:
    if any(usage.reused for usage in answered.usage.values()):
        return
    if outcome.seconds:
        yield "latency", outcome.seconds
    if answered.first_token is not None:
        yield "first_token", answered.first_token
