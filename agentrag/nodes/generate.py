"""Write the answer with a model."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import ModelSlot, Node, PromptName, node
from agentrag.core.sizes import Calls, Sizes
from agentrag.core.types import ChatRequest


@node("generate")
class Generate(Node):
    """Fill a prompt, ask a model, keep its text.

    Reads the holes of `prompt`; writes `answer`. The text is streamed as a draft of `answer` while it comes.
    Cost: one model call of at most `max_tokens` generated tokens.
    """

    prompt: PromptName
    model: ModelSlot = "writer"
    max_tokens: int = Field(256, ge=1, description="bound of the answer")
    temperature: float = Field(0.0, ge=0, le=2)
    stop: tuple[str, ...] = Field((), description="strings that end the answer")

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        messages = deps.prompts[self.prompt].messages(state)
        request = ChatRequest(messages, self.max_tokens, self.temperature, self.stop)
        completion = await deps.chat(self.model, request, stream_to="answer")
        return {"answer": completion.text.strip()}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(model=1, prompt=sizes.prompt(self.prompt), completion=self.max_tokens)

    def least(self, sizes: Sizes) -> Calls:
        return replace(self.cost(sizes), completion=1)
