"""Paths of steps: what is around a step, read from its path in the run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

ROOT = "flow"
"""The path of a run's flow."""
_STEP = re.compile(r"\.(\d+)(?::([^.~#\[]+)(?:~\d+)?|\.([a-z_]+))")
_PARTS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "repeat": ("round", re.compile(r"#(\d+)")),
    "each": ("item", re.compile(r"\[(\d+)\]")),
    "parallel": ("branch", re.compile(r"\.([a-z][a-z0-9_-]*)")),
    "choose": ("", re.compile(r"\.(\d+|otherwise)")),  # one branch was taken: it needs no level of its own
}


class Level(NamedTuple):
    """A step, or a round, a branch or an item of one.

    Attributes:
        kind: "node", a word of the language such as "repeat", or "round", "branch", "item", "exhausted".
        name: Of a node or a branch; "" of others.
        number: Of a step in its sequence and of an item, from 0; of a round, from 1; 0 of a branch.
    """

    path: str
    kind: str
    name: str
    number: int


def levels(path: str) -> Iterator[Level]:
    """What is on the way to a path, outermost first; attempts are left out.

    >>> [level.path for level in levels("flow.1.repeat#2.0:write~3")]
    ['flow.1.repeat', 'flow.1.repeat#2', 'flow.1.repeat#2.0:write']
    """
    at = len(ROOT)
    while step := _STEP.match(path, at):
        at, (number, node, word) = step.end(), step.groups()
        if node:
            yield Level(path[: step.end(2)], "node", node, int(number))
            continue
        yield Level(path[:at], word, "", int(number))
        kind, pattern = _PARTS.get(word, ("", None))
        part = pattern.match(path, at) if pattern else None
        if part:
            at = part.end()
            if kind:
                yield Level(path[:at], kind, *(("", int(part[1])) if part[1].isdigit() else (part[1], 0)))


def part_of(step: str, branch: str) -> str:
    """Path of a branch of a `parallel` or an item of an `each`."""
    return f"{step}[{branch}]" if step.endswith(".each") else f"{step}.{branch}"
