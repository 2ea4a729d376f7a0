"""Ask a model a yes/no question and read the answer from its log-probabilities, not from its word."""

from __future__ import annotations

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.logodds import yes_or_no
from agentrag.core.node import ModelSlot, Node, PromptName, node
from agentrag.core.sizes import Calls, Sizes


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
        return {"answerable": await yes_or_no(deps, self.model, deps.prompts[self.prompt].messages(state))}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1, prompt=sizes.prompt(self.prompt), completion=1)
