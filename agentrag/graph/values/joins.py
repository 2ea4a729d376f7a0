"""Joins: pure functions that make one value of those that branches wrote to one channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

from agentrag.core.errors import RunError
from agentrag.core.registry import Registry
from agentrag.core.types import Passage
from agentrag.graph.values.sameness import key
from agentrag.graph.values.signatures import about, accepted_text, annotations_of, fits, item_of
from agentrag.retrieval import fuse

Function = TypeVar("Function", bound=Callable[..., Any])
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Join:
    """A checked join.

    Attributes:
        about: One line for the reference.
        takes: Annotation of one value.
        gives: Annotation of the result.
        function: Of the values in the order of the branches in the file; it may be one, and is never none.
    """

    name: str
    about: str
    takes: Any
    gives: Any
    function: Callable[[Sequence[Any]], Any]

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> Join:
        """Read a join off a function `(values: Sequence[T]) -> T`.

        Raises:
            TypeError: It is another kind of function.
        """
        what = f"join '{name}'"
        values, gives = annotations_of(what, function, ("values",))
        takes = item_of(what, values)
        if gives is None:
            raise TypeError(f"{what} should give a value of the type that it takes, {accepted_text(takes)}")
        return cls(name, about(function), takes, gives, function)

    def accepts(self, kind: Any) -> bool:
        """True when it takes and gives values of a channel of this type."""
        gives_alike = isinstance(self.gives, TypeVar) and self.gives is self.takes
        return fits(kind, self.takes) and (gives_alike or fits(self.gives, kind))

    @property
    def accepted(self) -> str:
        """The types that it takes, in words."""
        return accepted_text(self.takes)

    def merge(self, values: Sequence[Any]) -> Any:
        """One value of those that branches wrote; it may be beyond the bound of the channel.

        Raises:
            RunError: The function failed.
        """
        try:
            return self.function(values)
        except Exception as error:
            raise RunError(f"join '{self.name}' failed: {type(error).__name__}: {error}") from error


class Joins(Registry[Join]):
    """All joins by name: `@join("name")` over a typed function, which stays as it is."""

    def __call__(self, name: str) -> Callable[[Function], Function]:  # type: ignore[override]  # makes joins of functions
        """Return a decorator that checks and registers a function; `Join.of` says what it must be like."""

        def register(function: Function) -> Function:
            super(Joins, self).__call__(name)(Join.of(name, function))
            return function

        return register


join = Joins("join")
"""All joins by the name that `join:` of a `parallel` takes."""


@join("rrf")
def rrf(values: Sequence[list[Passage]]) -> list[Passage]:
    """Passages by reciprocal rank, best first; each as the branch had it that ranked it highest, with the fused score.

    A passage is known by collection and id, and counts in a branch where it stands first. Ties are ordered by id.
    Source: Cormack, Clarke, Buettcher: Reciprocal Rank Fusion, SIGIR 2009.
    """
    best: dict[str, tuple[int, Passage]] = {}
    rankings: list[list[str]] = []
    for value in values:
        ranking: dict[str, None] = {}
        for rank, passage in enumerate(value):
            name = f"{passage.id}\0{passage.collection}"
            ranking.setdefault(name)
            if name not in best or rank < best[name][0]:
                best[name] = (rank, passage)
        rankings.append(list(ranking))
    return [replace(best[name][1], score=score) for name, score in fuse.rrf(rankings)]


@join("concat")
def concat(values: Sequence[str | list[Any]]) -> Any:
    """All items of the lists without repeats, or the texts with a blank line between two; empty texts are left out.

    A passage is known by the slice of its source that it is, any other item by all that it holds.
    """
    if isinstance(values[0], str):
        return "\n\n".join(text for text in values if isinstance(text, str) and text.strip())
    kept: dict[Hashable, Any] = {}
    for item in chain.from_iterable(values):
        kept.setdefault(key(item, str), item)
    return list(kept.values())


@join("vote")
def vote(values: Sequence[str | int | float | bool]) -> Any:
    """The commonest value, as the first branch that gave it wrote it; of equally common ones that of the first branch.

    Texts are the same but for case, punctuation and blanks.
    """
    keys = [key(value) for value in values]
    return values[keys.index(Counter(keys).most_common(1)[0][0])]


@join("first")
def first(values: Sequence[Any]) -> Any:
    """The value of the first branch, in the order of the file, that ended well."""
    return values[0]


@join("mean")
def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; of channels of whole numbers it would be none, so it does not take them."""
    return sum(values) / len(values)


@join("min")
def smallest(values: Sequence[Number]) -> Number:
    """The smallest number."""
    return min(values)


@join("max")
def largest(values: Sequence[Number]) -> Number:
    """The largest number."""
    return max(values)
