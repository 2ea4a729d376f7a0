"""Use again what was once written for the queries of a data set: what a strong model is worth, with no model at hand.

Needs a run that asks such a query (`agentrag eval GRAPH --data DIR`); elsewhere these nodes fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.nodes.variants import MOST_PARTS, MOST_VARIANTS, PARTS, VARIANTS, spread, variant_names

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


@node("reformulate.recorded")
class RecordedReformulation(Node):
    """Use recorded reformulations of the query: pseudo-documents, keywords, expansions.

    They are what the method generated, without the question: to search for both, write `query: "{question} {variant_1}"`.
    Many are whole passages of hundreds of words; one of more than 8192 bytes is cut, as every text of a channel is. What is
    blank, equals the question or another one is left out.
    Reads the holes of `question`; writes `queries` (the question first, then at most `n` reformulations) and `variant_1` ..
    `variant_<n>`: the question again where fewer are recorded.
    Cost: one look-up, no model call.
    """

    channels: ClassVar[Mapping[str, Channel]] = VARIANTS

    method: Name = Field(description="how they were made, e.g. query2doc-zs")
    model: Name = Field(description="who wrote them, e.g. Qwen/Qwen2.5-7B-Instruct, or its last part")
    question: TemplateText = "{question}"
    n: int = Field(1, ge=1, le=MOST_VARIANTS, description="at most this many reformulations")

    def writes(self) -> frozenset[str]:
        return frozenset({"queries", *variant_names(self.n)})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        texts = await deps.recorded("reformulation", self.method, self.model)
        return spread(question, _others(texts, question), self.n)

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(other=1)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"queries": Size(self.n + 1)}


@node("decompose.recorded")
class RecordedDecomposition(Node):
    """Use the recorded sub-questions of the query.

    People wrote them who knew how the question is answered, so a result with them is what a decomposer could reach at best.
    In a sub-question `#1` stands for the answer to the first; it stays as it is.
    Reads nothing; writes `sub_questions` (1..n of them, in order).
    Cost: one look-up, no model call.
    """

    channels: ClassVar[Mapping[str, Channel]] = PARTS

    n: int = Field(MOST_PARTS, ge=1, le=MOST_PARTS, description="at most this many sub-questions")

    def writes(self) -> frozenset[str]:
        return frozenset({"sub_questions"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"sub_questions": (await deps.recorded("decomposition"))[: self.n]}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(other=1)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"sub_questions": Size(self.n)}


@node("requests.recorded")
class RecordedRequests(Node):
    """Use what an agent once asked a search engine or a tool router for while it worked on the query.

    Reads the holes of `question`; writes `queries` (the question first, then at most `n` requests that differ from it and
    from each other, in the order in which they were made).
    Cost: one look-up, no model call.
    """

    channels: ClassVar[Mapping[str, Channel]] = VARIANTS

    agent: Name = Field(description="who asked: the agent's model, e.g. claude-sonnet-4-20250514, or react")
    question: TemplateText = "{question}"
    n: int = Field(MOST_VARIANTS, ge=1, le=MOST_VARIANTS, description="at most this many requests")

    def writes(self) -> frozenset[str]:
        return frozenset({"queries"})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        requests = await deps.recorded("request", model=self.agent)
        return {"queries": [question, *_others(requests, question)[: self.n]]}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(other=1)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"queries": Size(self.n + 1)}


def _others(texts: Iterable[str], question: str) -> list[str]:
    """The texts that say something which neither the question nor one before them says word for word."""
    kept = dict.fromkeys(text.strip() for text in texts)
    return [text for text in kept if text and text != question]
