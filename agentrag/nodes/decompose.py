"""Cut a question that needs several facts into questions for one each. Ideas: arXiv:2205.10625, arXiv:2210.03350."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from agentrag.nodes.variants import MOST_PARTS, PARTS
from agentrag.retrieval.terms import content_terms


@node("decompose")
class Decompose(Node):
    """Cut a question into sub-questions that can be searched one without the other.

    Small models copy their examples, and they say a simple question again or turn it round. So lines that share no content
    word with the question, or hold all of them, are left out; and unless two of the others each hold a word of the question
    that those before do not hold, the question is taken for a simple one.
    Reads the holes of `question`; writes `sub_questions` (2..n of them, or the question itself alone). The prompt may use
    {question} and {n}.
    Cost: one model call of at most `max_tokens` generated tokens.
    """

    channels: ClassVar[Mapping[str, Channel]] = PARTS
    fills: ClassVar[frozenset[str]] = frozenset({"question", "n"})
    instructs: ClassVar[frozenset[str]] = frozenset({"n"})

    prompt: PromptName = "search/decompose"
    model: ModelSlot = "writer"
    question: TemplateText = "{question}"
    n: int = Field(4, ge=2, le=MOST_PARTS, description="at most this many sub-questions")
    max_tokens: int = Field(96, ge=8, description="bound of all sub-questions together")

    def writes(self) -> frozenset[str]:
        return frozenset({"sub_questions"})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        messages = deps.prompts[self.prompt].messages({**state, "question": question, "n": self.n})
        completion = await deps.chat(self.model, ChatRequest(messages, self.max_tokens))
        asked = content_terms(question)
        parts = [
            line for line in listed(completion.text, without=[question]) if 0 < len(content_terms(line) & asked) < len(asked)
        ]
        return {"sub_questions": parts[: self.n] if _novel(parts[: self.n], asked) > 1 else [question]}

    def cost(self, sizes: Sizes) -> Calls:
        prompt = sizes.prompt(self.prompt, question=sizes.template(self.question), n=1)
        return Calls(model=1, prompt=prompt, completion=self.max_tokens)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"sub_questions": Size(self.n)}


def _novel(parts: Sequence[str], asked: frozenset[str]) -> int:
    """How many parts hold a word of `asked` that none before them holds."""
    held: set[str] = set()
    count = 0
    for part in parts:
        own = content_terms(part) & asked
        count += not own <= held
        held |= own
    return count
