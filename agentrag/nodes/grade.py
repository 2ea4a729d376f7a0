"""Judge which retrieved passages help. Idea: the retrieval evaluator of Corrective RAG, arXiv:2401.15884."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar, Literal

from pydantic import Field

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.logodds import LOWEST, yes_or_no
from agentrag.core.node import ModelSlot, Node, PromptName, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.core.together import together
from agentrag.core.types import Passage


@node("grade")
class Grade(Node):
    """Keep the passages that a model calls helpful, read from the log-probabilities of its yes and no.

    Neighbouring slices of one passage, as in `evidence`, are judged together. The question stands before the passage, so
    that the server's prompt cache serves all judgements of a question.
    Reads the holes of `question`, and the channel `among`; writes that channel (what reaches `threshold`, in the same order,
    its log-odds as its score; never what was not judged) and `confidence` (the best log-odds, kept or not; -13.8 where
    nothing was judged). The prompt may use {question} and {passage}.
    Cost: one model call of one generated token for each of at most `limit` passages, made concurrently.
    """

    channels: ClassVar[Mapping[str, Channel]] = {
        "confidence": Channel(float, about="log-odds that the best of the graded passages helps", odds_of="relevant"),
    }
    fills: ClassVar[frozenset[str]] = frozenset({"question", "passage"})

    prompt: PromptName = "grade/passage"
    model: ModelSlot = "gate"
    question: TemplateText = "{question}"
    among: Literal["passages", "evidence"] = Field("passages", description="what is judged: whole passages or slices of them")
    limit: int = Field(8, ge=1, le=100, description="judge at most this many passages")
    threshold: float = Field(0.0, description="least log-odds of what is kept")

    def reads(self) -> frozenset[str]:
        return frozenset({self.among})

    def writes(self) -> frozenset[str]:
        return frozenset({self.among, "confidence"})

    async def __call__(self, state: State, deps: Deps) -> State:
        question = Template(self.question).fill(state, render).strip()
        given = state[self.among]
        judged = (_by_passage(given) if self.among == "evidence" else [[passage] for passage in given])[: self.limit]
        prompt = deps.prompts[self.prompt]
        asked = [prompt.messages({**state, "question": question, "passage": slices}) for slices in judged]
        odds = await together(yes_or_no(deps, self.model, messages) for messages in asked)
        kept = [
            replace(part, score=score)
            for slices, score in zip(judged, odds, strict=True)
            if score >= self.threshold
            for part in slices
        ]
        return {self.among: kept, "confidence": max(odds, default=LOWEST)}

    def keeps(self) -> Mapping[str, tuple[str, int]]:
        return {"limit": (self.among, self.limit)}

    def cost(self, sizes: Sizes) -> Calls:
        calls = min(self.limit, sizes.items(self.among))
        if not calls:
            return Calls()
        # slices of evidence may all be of one passage, so that each judgement has no bound but all together have
        each, whole = (0, sizes.bytes(self.among)) if self.among == "evidence" else (sizes.item(self.among),) * 2
        question = sizes.template(self.question)
        prompt = (calls - 1) * sizes.prompt(self.prompt, question=question, passage=each)
        prompt += sizes.prompt(self.prompt, question=question, passage=whole)
        return Calls(model=calls, prompt=prompt, completion=calls)

    def least(self, sizes: Sizes) -> Calls:
        return Calls()

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        known = sizes.size(self.among)
        return {self.among: known if self.among == "evidence" else replace(known, items=min(known.items, self.limit))}


def _by_passage(slices: Sequence[Passage]) -> list[list[Passage]]:
    """Group neighbouring slices of one passage."""
    return [list(group) for _, group in groupby(slices, key=lambda part: (part.collection, part.id))]
