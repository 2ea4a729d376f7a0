"""Plain retrievers as something to evaluate: the baselines that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from agentrag.core.deps import Deps
from agentrag.core.errors import DataSetError, unknown
from agentrag.core.events import CallFinished, Event
from agentrag.core.types import SearchRequest, Usage
from agentrag.evaluation.asking.ask import Answered, Ask
from agentrag.evaluation.data.dataset import Question

PLAIN = "bm25-plain"
RETRIEVERS: Mapping[str, Literal["dense", "lexical", "rrf", "convex"]] = {
    "bm25": "lexical",
    PLAIN: "lexical",
    "dense": "dense",
    "rrf": "rrf",
    "convex": "convex",
}
"""Search mode by the retriever's name on the command line; `bm25-plain` does not stem and searches whole documents."""


@dataclass(frozen=True)
class Depth:
    """How a retriever is asked.

    Attributes:
        k: Passages per question, 1..1000. 100 is enough to fill ten ranks with documents cut into several passages.
        weight: Of the lexical score in `convex`, 0..1; None takes the collection's default.
    """

    k: int = 100
    weight: float | None = None

    @classmethod
    def of(cls, name: str, given: Mapping[str, str]) -> Depth:
        """From `-i k=50 -i weight=0.3`.

        Raises:
            DataSetError: A name or a value is wrong, or the retriever has no weights.
        """
        known = ("k", "weight") if RETRIEVERS[name] == "convex" else ("k",)
        if wrong := [key for key in given if key not in known]:
            raise DataSetError(f"'{name}': {unknown('input', wrong[0], known)}")
        try:
            depth = cls(int(given.get("k", cls.k)), float(given["weight"]) if "weight" in given else None)
        except ValueError as error:
            raise DataSetError(f"'{name}': k is a whole number and weight a number, not {dict(given)}.") from error
        if not (1 <= depth.k <= 1000 and (depth.weight is None or 0 <= depth.weight <= 1)):
            raise DataSetError(f"'{name}': k is in 1..1000 and weight in 0..1, not {dict(given)}.")
        return depth

    def as_json(self) -> dict[str, Any]:
        """What is not the default, as JSON data."""
        return {"k": self.k} | ({} if self.weight is None else {"weight": self.weight})


def retriever(name: str, deps: Deps, depth: Depth = Depth()) -> Ask:
    """A retriever over the collection that fills the slot `docs`.

    Args:
        name: A key of `RETRIEVERS`.
        deps: Its journal records every search.
        depth: Passages per question, and the weight of a convex fusion.
    """
    mode = RETRIEVERS[name]

    async def ask(question: Question) -> Answered:
        calls: list[CallFinished] = []

        def listen(event: Event) -> None:
            if isinstance(event, CallFinished):
                calls.append(event)

        here = replace(deps, listen=listen).at(question.id, "search")
        found = await here.search("docs", SearchRequest(question.text, k=depth.k, mode=mode, weight=depth.weight))
        paid, saved = _sum(call.usage for call in calls), _sum(call.saved for call in calls)
        return Answered(passages=tuple(found), usage={"search": paid}, saved={"search": saved})

    return ask


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
