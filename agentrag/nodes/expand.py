"""Ask a question in other words, for documents that say it otherwise. Idea: RAG-Fusion, arXiv:2402.03367."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.lines import listed
from agentrag.core.node import ModelSlot, Node, PromptName, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.core.types import ChatRequest
from agentrag.nodes.variants import MOST_VARIANTS, VARIANTS, spread, variant_names


@node("expand")
class Expand(Node):
    """Write other queries for a question.

    Reads the holes of `question`; writes `queries` (the question first, then at most `n` variants that differ from it and
    from each other) and `variant_1` .. `variant_<n>`: the variants one a channel, for the branches of a `parallel`, the
    question again where the model wrote fewer. The prompt may use {question} and {n}.
    Cost: one model call of at most `max_tokens` generated tokens.
    """

    channels: ClassVar[Mapping[str, Channel]] = VARIANTS
    fills: ClassVar[frozenset[str]] = frozenset({"question", "n"})
    instructs: ClassVar[frozenset[str]] = frozenset({"n"})

    prompt: PromptName = "search/expand"
    model: ModelSlot = "writer"
    question: TemplateText = "{question}"
    n: int = Field(3, ge=1, le=MOST_VARIANTS, description="at most this many variants")
    max_tokens: int = Field(96, ge=8, description="bound of all variants together")
    temperature: float = Field(0.0, ge=0, le=2)

    def writes(self) -> frozenset[str]:
        return frozenset({"queries", *variant_names(self.n)})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        messages = deps.prompts[self.prompt].messages({**state, "question": question, "n": self.n})
        completion = await deps.chat(self.model, ChatRequest(messages, self.max_tokens, self.temperature))
        return spread(question, listed(completion.text, without=[question]), self.n)

    def cost(self, sizes: Sizes) -> Calls:
        prompt = sizes.prompt(self.prompt, question=sizes.template(self.question), n=1)
        return Calls(model=1, prompt=prompt, completion=self.max_tokens)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"queries": Size(self.n + 1)}
