"""Write another query where the last one found too little. Idea: the rewriting step of Corrective RAG, arXiv:2401.15884."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten
from typing import ClassVar

from pydantic import Field, field_validator

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.lines import listed
from agentrag.core.node import ModelSlot, Node, PromptName, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Sizes
from agentrag.core.template import Template
from agentrag.core.types import ChatRequest


@node("rewrite")
class Rewrite(Node):
    """Write the next query of a loop: first the question itself, then what a model makes of the last query and its finds.

    Reads the holes of `question`, and `query` and `passages` where there are such; writes `query` (one line; the last query
    again where the model writes nothing). The prompt may use {question}, {query} and {found}: the first `shown` passages,
    each cut to `characters` at a word.
    Cost: one model call of at most `max_tokens` generated tokens, none where no query was tried yet.
    """

    channels: ClassVar[Mapping[str, Channel]] = {
        "query": Channel(str, untrusted=True, about="what is sent to the retriever"),
    }
    fills: ClassVar[frozenset[str]] = frozenset({"question", "query", "found"})

    prompt: PromptName = "search/rewrite"
    model: ModelSlot = "writer"
    question: TemplateText = "{question}"
    shown: int = Field(3, ge=0, le=20, description="passages of the last search that the model sees")
    characters: int = Field(150, ge=20, le=2000, description="most characters shown of one passage")
    max_tokens: int = Field(48, ge=8, description="bound of the query")

    @field_validator("out")
    @classmethod
    def _reads_its_own(cls, out: Mapping[str, str]) -> Mapping[str, str]:
        if "query" in out:
            raise ValueError("`query` is where it reads its last query, so it cannot write that under another name")
        return out

    def writes(self) -> frozenset[str]:
        return frozenset({"query"})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        tried = state.get("query")
        if tried is None:
            return {"query": question}
        found = [shorten(render(passage), self.characters, placeholder=" ...") for passage in state.get("passages", ())]
        filled = {"question": question, "query": tried, "found": found[: self.shown] or ["nothing"]}
        messages = deps.prompts[self.prompt].messages({**state, **filled})
        completion = await deps.chat(self.model, ChatRequest(messages, self.max_tokens))
        return {"query": next(iter(listed(completion.text)), tried)}

    def cost(self, sizes: Sizes) -> Calls:
        if not sizes.items("query"):
            return Calls()  # in the first round the query is the question
        found = sizes.shown(max(1, self.shown) * (self.characters * sizes.scale.character + 1))
        filled = {"question": sizes.template(self.question), "query": sizes.bytes("query"), "found": found}
        return Calls(model=1, prompt=sizes.prompt(self.prompt, **filled), completion=self.max_tokens)

    def least(self, sizes: Sizes) -> Calls:
        return Calls()
