"""Search a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Calls, CollectionSlot, Node, Sizes, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.template import Template
from agentrag.core.types import SearchRequest


@node("retrieve")
class Retrieve(Node):
    """Find the passages nearest to a query.

    Reads the holes of `query`; writes `passages` (best first, length 0..k).
    Cost: one search; its dense part embeds the query once.
    """

    collection: CollectionSlot = "docs"
    query: TemplateText = Field("{question}", description="text with holes for channels")
    k: int = Field(5, ge=1, le=1000, description="at most this many passages")
    mode: Literal["dense", "lexical", "rrf", "convex"] = Field("convex", description="ranking; see SearchRequest")
    where: Mapping[str, Any] | None = Field(None, description="metadata conditions in Chroma's form")
    neighbours: int = Field(0, ge=0, le=10, description="widen each hit by this many passages on either side")
    weight: float | None = Field(None, ge=0, le=1, description="weight of the lexical score in mode convex")

    def writes(self) -> frozenset[str]:
        return frozenset({"passages"})

    async def __call__(self, state: State, deps: Deps) -> State:
        query = Template(self.query).fill(state, render).strip()
        request = SearchRequest(query, self.k, self.mode, self.where, self.neighbours, self.weight)
        return {"passages": await deps.search(self.collection, request)}

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(search=1)
