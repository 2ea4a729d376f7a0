"""The steps of a recorded run as the tree that they are: rounds in loops, branches in fan-outs, calls in nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agentrag.core.types import Usage
from agentrag.graph.recorded.economy import KINDS
from agentrag.journal.past import PastCall, PastNote, total

_STEP = re.compile(r"\.(\d+)(?::([^.~#\[]+)(?:~\d+)?|\.([a-z_]+))")
_PARTS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "repeat": ("round", re.compile(r"#(\d+)")),
    "each": ("item", re.compile(r"\[(\d+)\]")),
    "parallel": ("branch", re.compile(r"\.([a-z][a-z0-9_-]*)")),
    "choose": ("", re.compile(r"\.(\d+|otherwise)")),  # one branch was taken: it needs no level of its own
}


@dataclass(frozen=True)
class TreeStep:
    """A step of a run, or a round, a branch or an item of one.

    Attributes:
        path: Its path in the run.
        kind: "node", a word of the language such as "repeat", or "round", "branch", "item", "exhausted".
        number: Of a step in its sequence and of an item, from 0; of a round, from 1; 0 of a branch.
        name: Name of a node or a branch; "" of others.
        node: Of a node, its name as costs are counted: with the names of the graphs around it.
        outcome: "done", "failed" or "cancelled"; "" where that is not known.
        reason: Why it failed.
        seconds: Of a node, its wall time over all times that the run was taken up.
        told: What was decided at it, as JSON data: the branch of a choice, the measures of a round, an answer.
        retried: Why attempts before the last one failed, by their numbers.
        calls: Outward calls of a node, in the order of their ends.
        inside: The steps inside it, in program order.
    """

    path: str
    kind: str
    name: str
    number: int
    node: str
    outcome: str
    reason: str
    seconds: float
    told: Mapping[str, Any]
    retried: Mapping[int, str]
    calls: tuple[PastCall, ...]
    inside: tuple[TreeStep, ...]

    @cached_property
    def usage(self) -> Usage:
        """What it cost, with all that is inside it."""
        return total([*(call.usage for call in self.calls), *(step.usage for step in self.inside)])

    @cached_property
    def saved(self) -> Usage:
        """What its reused answers had cost when they were made, with all that is inside it."""
        return total([*(call.saved for call in self.calls), *(step.saved for step in self.inside)])


def tree_of(
    calls: Iterable[PastCall],
    notes: Sequence[PastNote],
    settled: Mapping[str, Any],
    named: Callable[[str], str] = lambda path: "",
) -> tuple[TreeStep, ...]:
    """The steps of a run, from what `agentrag.journal.history.History` tells of it.

    Args:
        calls: Its calls.
        notes: Its notes.
        settled: What was decided in it.
        named: Gives the full name of the node at a path, for those whose end nobody noted; "" where it is not known.
    """
    root = _Open("flow", "", "", 0)
    for call in calls:
        root.at(call.step).calls.append(call)
    for note in notes:
        if note.kind not in KINDS:
            _take(note, root.at(_place(note)))
    for path, decision in settled.items():
        if path.endswith(".ask_human"):
            root.at(path).told |= decision
    root.name_nodes(named)
    return root.closed().inside


@dataclass
class _Open:
    """A step while it is put together."""

    path: str
    kind: str
    name: str
    number: int
    node: str = ""
    outcome: str = ""
    reason: str = ""
    seconds: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    retried: dict[int, str] = field(default_factory=dict)
    calls: list[PastCall] = field(default_factory=list)
    inside: dict[str, _Open] = field(default_factory=dict)

    def at(self, path: str) -> _Open:
        """The step of a path, made with those around it where it is not there."""
        step = self
        for level in _levels(path):
            step = step.inside.setdefault(level[0], _Open(*level))
        return step

    def name_nodes(self, named: Callable[[str], str]) -> None:
        """Give the nodes that did not end their full names."""
        if self.kind == "node" and not self.node:
            self.node = named(self.path)
        for step in self.inside.values():
            step.name_nodes(named)

    def closed(self) -> TreeStep:
        steps = sorted(self.inside.values(), key=lambda step: (step.number, step.name))
        ends = (self.node, self.outcome, self.reason, self.seconds, self.told, self.retried, tuple(self.calls))
        return TreeStep(self.path, self.kind, self.name, self.number, *ends, tuple(step.closed() for step in steps))


def _levels(path: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield path, kind, name and number of the steps on the way to a path, outermost first; attempts are left out."""
    at = len("flow")
    while step := _STEP.match(path, at):
        at, (number, node, word) = step.end(), step.groups()
        if node:
            yield path[: step.end(2)], "node", node, int(number)
            continue
        yield path[:at], word, "", int(number)
        kind, pattern = _PARTS.get(word, ("", None))
        part = pattern.match(path, at) if pattern else None
        if part:
            at = part.end()
            if kind:
                yield path[:at], kind, *(("", int(part[1])) if part[1].isdigit() else (part[1], 0))


def _place(note: PastNote) -> str:
    """Path of what a note is about: its step, or the round, the branch or the item of it that has ended."""
    if note.kind == "round":
        return f"{note.step}#{note.body['number']}"
    if note.kind == "branch":
        return f"{note.step}[{note.body['branch']}]" if note.step.endswith(".each") else f"{note.step}.{note.body['branch']}"
    return note.step


def _take(note: PastNote, step: _Open) -> None:
    """Add what a note says; of several about one thing the last counts, for a run that was resumed tells things again."""
    body = note.body
    if note.kind == "branch":
        step.outcome, step.reason = body["outcome"], body["reason"]
    elif note.kind == "step" and "seconds" not in body:
        step.retried[body["attempt"]] = body["reason"]
    elif note.kind == "step":
        step.node, step.outcome, step.reason = body["node"], body["outcome"], body.get("reason", "")
        step.seconds += body["seconds"]
    else:
        step.told |= body


def costs_of(steps: Iterable[TreeStep]) -> tuple[dict[str, Usage], dict[str, Usage]]:
    """What each node cost, and what its reused answers had cost, by node name; as the run told it when it ended."""
    nodes = [step for step in _all(steps) if step.kind == "node"]
    paid: dict[str, Usage] = {}
    saved: dict[str, Usage] = {}
    # in the order of the calls: sums of seconds are then the same to the last digit
    for call, node in sorted(
        ((call, step.node or step.name) for step in nodes for call in step.calls), key=lambda one: one[0].seq
    ):
        paid[node] = paid.get(node, Usage()) + call.usage
        saved[node] = saved.get(node, Usage()) + call.saved
    return paid, saved


def _all(steps: Iterable[TreeStep]) -> Iterator[TreeStep]:
    for step in steps:
        yield step
        yield from _all(step.inside)
