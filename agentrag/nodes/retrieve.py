"""Search a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import CollectionSlot, Node, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template
from agentrag.core.together import together
from agentrag.core.types import Passage, SearchRequest

DEEPER = 3
"""How many times k each of two queries fetches, so that what both find can rise."""


@node("retrieve")
class Retrieve(Node):
    """Find the passages nearest to a query.

    With `also`, a second query is searched too and a passage's score is the mean of its two scores, 0 where a query
    does not find it.
    Reads the holes of `query` and `also`; writes `passages` (best first, length 0..k).
    Cost: one search, two with an `also` that differs from the query; the dense part of each embeds its query once.
    """

    collection: CollectionSlot = "docs"
    query: TemplateText = Field("{question}", description="text with holes for channels")
    also: TemplateText | None = Field(None, description="a second query, e.g. the question as it was written")
    k: int = Field(5, ge=1, le=1000, description="at most this many passages")
    mode: Literal["dense", "lexical", "rrf", "convex"] = Field("convex", description="ranking; see SearchRequest")
    where: Mapping[str, Any] | None = Field(None, description="metadata conditions in Chroma's form")
    neighbours: int = Field(0, ge=0, le=10, description="widen each hit by this many passages on either side")
    weight: float | None = Field(None, ge=0, le=1, description="weight of the lexical score in mode convex")

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        query = Template(self.query).fill(state, render).strip()
        also = Template(self.also).fill(state, render).strip() if self.also else query
        if also == query:
            return {"passages": await self._search(query, self.k, deps)}
        found = await together(self._search(text, DEEPER * self.k, deps) for text in (query, also))
        return {"passages": _mean(found)[: self.k]}

    async def _search(self, query: str, k: int, deps: Deps) -> list[Passage]:
        request = SearchRequest(query, k, self.mode, self.where, self.neighbours, self.weight)
        return await deps.search(self.collection, request)

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(search=2, passages=2 * DEEPER * self.k) if self.also else Calls(search=1, passages=self.k)

    def least(self, sizes: Sizes) -> Calls:
        return Calls(search=1)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"passages": Size(self.k)}


def _mean(found: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Join two rankings by the mean of their scores, best first; ties in order of first appearance."""
    passages: dict[tuple[str, str], Passage] = {}
    scores: dict[tuple[str, str], float] = {}
    for passage in chain.from_iterable(found):
        key = (passage.collection, passage.id)
        passages.setdefault(key, passage)
        scores[key] = scores.get(key, 0.0) + passage.score / len(found)
    ranked = sorted(passages, key=lambda key: -scores[key])
    return [replace(passages[key], score=scores[key]) for key in ranked]
