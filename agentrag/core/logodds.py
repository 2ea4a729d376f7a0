"""A model's yes or no, read from the log-probabilities of its first token and not from its word."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.types import ChatRequest, Message

LIKELIEST = 20
FLOOR = 1e-6
"""Probability given to a word that is not among the likeliest, so that the log-odds stay finite."""
LOWEST = math.log(FLOOR / (1.0 + FLOOR))
"""The log-odds of a sure no, about -13.8."""


async def yes_or_no(deps: Deps, slot: str, messages: Sequence[Message]) -> float:
    """Ask a model a yes/no question and return ln(P(yes) / P(no)), from -13.8 to 13.8. Cost: one call of one token.

    Raises:
        ModelError: The call failed, or the model returns no log-probabilities.
    """
    completion = await deps.chat(slot, ChatRequest(tuple(messages), max_tokens=1, logprobs=LIKELIEST))
    if not completion.tokens:
        raise ModelError(f"{completion.model or slot} returns no log-probabilities; bind slot '{slot}' to one that does")
    return yes_over_no(completion.tokens[0].top)


def yes_over_no(likeliest: Iterable[tuple[str, float]]) -> float:
    """Natural log of P(yes) / P(no), summed over spellings of the two words.

    >>> round(yes_over_no([("yes", math.log(0.6)), (" No", math.log(0.3))]), 3)
    0.693
    """
    chances = {"yes": 0.0, "no": 0.0}
    for token, logprob in likeliest:
        word = token.strip().lower()
        if word in chances:
            chances[word] += math.exp(logprob)
    return math.log((chances["yes"] + FLOOR) / (chances["no"] + FLOOR))
