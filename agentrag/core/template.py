"""Holes in text: `{name}`, `{name?}` for one that may be missing, `{{` and `}}` for literal braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_PARTS = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z_][a-z0-9_]*)(?P<optional>\?)?\}|[{}]")


@dataclass(frozen=True)
class Hole:
    """A named place to fill; `start` is its character offset in the template."""

    name: str
    optional: bool
    start: int


@dataclass(frozen=True)
class Template:
    """A text with holes.

    >>> Template("{question} {answer?}").fill({"question": "Why?"})
    'Why? '
    """

    text: str

    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        """The holes, in order.

        Raises:
            ValueError: A brace stands alone; the message gives its offset.
        """
        found = []
        for match in _PARTS.finditer(self.text):
            if match["name"]:
                found.append(Hole(match["name"], bool(match["optional"]), match.start()))
            elif len(match[0]) == 1:
                raise ValueError(f"lone '{match[0]}' at character {match.start()}; write '{match[0] * 2}' for a literal brace")
        return tuple(found)

    @property
    def required(self) -> frozenset[str]:
        """Names that must be there to fill the template."""
        return frozenset(hole.name for hole in self.holes if not hole.optional)

    def fill(self, values: Mapping[str, Any], render: Callable[[Any], str] = str) -> str:
        """Put `render(values[name])` into every hole; a missing or None optional value gives "".

        Raises:
            KeyError: A required value is missing.
        """

        def part(match: re.Match[str]) -> str:
            name = match["name"]
            if not name:
                return match[0][0]
            value = values.get(name) if match["optional"] else values[name]
            return "" if value is None else render(value)

        return _PARTS.sub(part, self.text)
