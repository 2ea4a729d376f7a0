"""A plain retriever as something to evaluate: the baselines that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from agentrag.core.deps import Deps
from agentrag.core.events import CallFinished, Event
from agentrag.core.types import SearchRequest, Usage
from agentrag.evaluation.asking.ask import Answered, Ask
from agentrag.evaluation.data.dataset import Question

RETRIEVERS: Mapping[str, Literal["dense", "lexical", "rrf", "convex"]] = {
    "bm25": "lexical",
    "dense": "dense",
    "rrf": "rrf",
    "convex": "convex",
}
"""Search mode by the retriever's name on the command line."""

DEPTH = 100
"""Passages asked for: enough to fill ten ranks with documents that were cut into several passages each."""


def retriever(name: str, deps: Deps, depth: int = DEPTH) -> Ask:
    """A retriever over the collection that fills the slot `docs`.

    Args:
        name: A key of `RETRIEVERS`.
        deps: Its journal records every search.
        depth: Passages per question, >= 1.
    """
    mode = RETRIEVERS[name]

    async def ask(question: Question) -> Answered:
        calls: list[CallFinished] = []

        def listen(event: Event) -> None:
            if isinstance(event, CallFinished):
                calls.append(event)

        here = replace(deps, listen=listen).at(question.id, "search")
        found = await here.search("docs", SearchRequest(question.text, k=depth, mode=mode))
        paid, saved = _sum(call.usage for call in calls), _sum(call.saved for call in calls)
        return Answered(passages=tuple(found), usage={"search": paid}, saved={"search": saved})

    return ask


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
