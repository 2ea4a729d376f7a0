"""Measures: pure functions of a channel's value and of its values in the rounds before, for use in expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any, TypeVar

from agentrag.core.errors import RunError
from agentrag.core.registry import Registry
from agentrag.core.types import Passage
from agentrag.graph.cel.text import FORMS, RESERVED
from agentrag.graph.values.sameness import key, normal
from agentrag.graph.values.signatures import about, accepted_text, annotations_of, fits, item_of

Function = TypeVar("Function", bound=Callable[..., Any])
_RESULTS = (bool, int, float)


@dataclass(frozen=True)
class Measure:
    """A checked measure.

    Attributes:
        about: One line for the reference.
        takes: Annotation of the values that it can look at.
        result: What it gives: bool, int or float.
        function: Of the value now and of those at the ends of the rounds before, oldest first; without those of rounds
            before the channel was first written, so nothing in round 1.
    """

    name: str
    about: str
    takes: Any
    result: type
    function: Callable[[Any, Sequence[Any]], Any]

    @classmethod
    def of(cls, name: str, function: Callable[..., Any]) -> Measure:
        """Read a measure off a function `(current: T, previous: Sequence[T]) -> bool | int | float`.

        Raises:
            TypeError: It is another kind of function.
            ValueError: The name cannot be called in an expression, or means something in CEL.
        """
        what = f"measure '{name}'"
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ValueError(f"{what} should be named by lower-case letters, digits and '_', a letter first")
        if name in FORMS or name in RESERVED:
            raise ValueError(f"{what} should have another name: '{name}' means something in CEL")
        takes, previous, result = annotations_of(what, function, ("current", "previous"))
        if not fits(item_of(what, previous), takes):
            raise TypeError(f"{what} is given earlier values of what it takes, {accepted_text(takes)}")
        if result not in _RESULTS:
            raise TypeError(f"{what} should give bool, int or float, but is annotated {accepted_text(result)}")
        return cls(name, about(function), takes, result, function)

    def accepts(self, kind: Any) -> bool:
        """True when it can look at channels of this type."""
        return fits(kind, self.takes)

    def __call__(self, current: Any, previous: Sequence[Any]) -> bool | float:
        """What it gives.

        Raises:
            RunError: The function failed, or gave something that is not of the type that it declares.
        """
        try:
            value = self.function(current, previous)
        except Exception as error:
            raise RunError(f"measure '{self.name}' failed: {type(error).__name__}: {error}") from error
        if not fits(type(value), self.result) or value != value:
            raise RunError(f"measure '{self.name}' gave {short(value)}, but declares {self.result.__name__}")
        return self.result(value)  # type: ignore[no-any-return]


class Measures(Registry[Measure]):
    """All measures by name: `@measure("name")` over a typed function, which stays as it is."""

    def __call__(self, name: str) -> Callable[[Function], Function]:
        """Return a decorator that checks and registers a function; `Measure.of` says what it must be like."""

        def register(function: Function) -> Function:
            super(Measures, self).__call__(name)(Measure.of(name, function))
            return function

        return register


measure = Measures("measure")
"""All measures by the name that expressions call."""


@measure("stable")
def stable(current: Any, previous: Sequence[Any]) -> bool:
    """True when the value is the same as at the end of the round before; false in round 1.

    Texts are the same but for case, punctuation and blanks; passages where they are the same slice, in any order.
    """
    return bool(previous) and _as_set(current) == _as_set(previous[-1])


@measure("novelty")
def novelty(current: str | list[Any], previous: Sequence[str | list[Any]]) -> float:
    """Share, 0..1, of the items of a list, or of the words of a text, that no round before had.

    1.0 in round 1; later 0.0 for an empty value. Each item or word counts once; they are the same as for `stable`.
    Cost: linear in the values of all rounds.
    """
    if not previous:
        return 1.0
    now = _items(current)
    return len(now.difference(*map(_items, previous))) / len(now) if now else 0.0


@measure("agreement")
def agreement(current: str | list[str], previous: Sequence[str | list[str]]) -> float:
    """How far answers agree, 0..1; what counts as the same is as for `stable`.

    Of a list of texts: the share of the commonest one, whatever was in the rounds before; 0.0 for an empty list.
    Of a text: the share of the rounds before whose value is the same as the present one; 0.0 in round 1.
    """
    if isinstance(current, list):
        return max(Counter(map(normal, current)).values()) / len(current) if current else 0.0
    return sum(key(value) == key(current) for value in previous) / len(previous) if previous else 0.0


def _as_set(value: Any) -> Hashable:
    """The key of a value; of passages, without their order."""
    if isinstance(value, (list, tuple)) and all(isinstance(item, Passage) for item in value):
        return frozenset(map(key, value))
    return key(value)


def _items(value: str | list[Any]) -> set[Hashable]:
    return set(normal(value).split()) if isinstance(value, str) else set(map(key, value))
