"""Plain retrievers as something to evaluate: the baselines that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
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
        depth: Candidates of each side that `rrf` and `convex` fuse, 1..10,000; None: max(50, 4 k).
    """

    k: int = 100
    weight: float | None = None
    depth: int | None = None

    @classmethod
    def of(cls, name: str, given: Mapping[str, str]) -> Depth:
        """From `-i k=50 -i weight=0.3`.

        Raises:
            DataSetError: A name or a value is wrong, or the retriever has no weights.
        """
        known = {"rrf": ("k", "depth"), "convex": ("k", "depth", "weight")}.get(RETRIEVERS[name], ("k",))
        if wrong := [key for key in given if key not in known]:
            raise DataSetError(f"'{name}': {unknown('input', wrong[0], known)}")
        try:
            whole = {key: int(given[key]) for key in ("k", "depth") if key in given}
            depth = cls(**whole, weight=float(given["weight"]) if "weight" in given else None)
        except ValueError as error:
            raise DataSetError(f"'{name}': k and depth are whole numbers and weight is a number, not {dict(given)}.") from error
        if not (1 <= depth.k <= 1000 and (depth.weight is None or 0 <= depth.weight <= 1)):
            raise DataSetError(f"'{name}': k is in 1..1000 and weight in 0..1, not {dict(given)}.")
        if depth.depth is not None and not 1 <= depth.depth <= 10_000:
            raise DataSetError(f"'{name}': depth is in 1..10,000, not {depth.depth}.")
        return depth

    def as_json(self) -> dict[str, Any]:
        """What is set, as JSON data."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
        request = SearchRequest(question.text, k=depth.k, mode=mode, weight=depth.weight, depth=depth.depth)
        found = await here.search("docs", request)
        paid, saved = _sum(call.usage for call in calls), _sum(call.saved for call in calls)
        return Answered(passages=tuple(found), usage={"search": paid}, saved={"search": saved})

    return ask


def _sum(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
