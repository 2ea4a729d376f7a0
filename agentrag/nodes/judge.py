"""Ask a model a yes/no question and read the answer from its log-probabilities, not from its word."""

from __future__ import annotations

import math
from collections.abc import Iterable

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.node import Calls, ModelSlot, Node, PromptName, Sizes, node
from agentrag.core.types import ChatRequest

LIKELIEST = 20
FLOOR = 1e-6
"""Probability given to a word that is not among the likeliest, so that the log-odds stay finite."""


@node("judge.answerable")
class JudgeAnswerable(Node):
    """Ask whether the passages state the answer.

    Reads the holes of `prompt`; writes `answerable`: ln(P(yes) / P(no)) of the first token, from -13.8 to 13.8.
    Its zero is no threshold by itself: small models lean to one side; a graph compares it with a number fitted on data.
    Cost: one model call that generates one token. With the answer's prompt beginning alike, the server's prompt cache
    makes it nearly free.
    """

    prompt: PromptName = "judge/answerable"
    model: ModelSlot = "gate"

    def writes(self) -> frozenset[str]:
        return frozenset({"answerable"})

    async def __call__(self, state: State, deps: Deps) -> State:
        messages = deps.prompts[self.prompt].messages(state)
        completion = await deps.chat(self.model, ChatRequest(messages, max_tokens=1, logprobs=LIKELIEST))
        if not completion.tokens:
            raise ModelError(
                f"{completion.model or self.model} returns no log-probabilities; bind slot '{self.model}' to one that does"
            )
        return {"answerable": yes_over_no(completion.tokens[0].top)}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1)


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
