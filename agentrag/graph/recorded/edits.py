"""Edits of the state in the middle of a run: which channels take which values before which step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from agentrag.core.channels import Channel, State
from agentrag.core.errors import Problem, RunError, SpecError, StoreError, unknown
from agentrag.core.located import Nowhere
from agentrag.graph.channels import channels_of
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import Choose as Choosing
from agentrag.graph.steps import Each, Otherwise, Parallel, Repeat, Step, Steps, SubGraph, When
from agentrag.graph.values.bounds import bounded

if TYPE_CHECKING:
    from agentrag.graph.flow.frame import Frame, Op

EDITS = "edits"
"""Where `RunRecord.options` keeps edits: values as JSON data by channel, by the place of the step, e.g. "flow.1.repeat#2.0"."""
_LEVEL = re.compile(r"\.(\d+)(?::([^.~#\[]+)(?:~\d+)?|\.([a-z_]+))?")
_INSIDE: Mapping[str, re.Pattern[str]] = {
    "repeat": re.compile(r"#\d+"),
    "exhausted": re.compile(""),
    "each": re.compile(r"\[\d+\]"),
    "parallel": re.compile(r"\.([a-z][a-z0-9_-]*)"),
    "choose": re.compile(r"\.(\d+|otherwise)"),
    "graph": re.compile(""),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path of a run stands in its graphs.

    Attributes:
        place: The path of a step, without its name: "flow.1.repeat#2.0".
        spec: The graph that the step is of.
        graphs: Names of the graphs around that, each followed by "/", as in names of nodes.
        node: Name of the node, where the step is one.
    """

    place: str
    spec: GraphSpec
    graphs: str
    node: str


def spot_of(spec: GraphSpec, path: str) -> Spot | None:
    """Where a path stands; of a round, a branch or an item the first step in it. None where the graph has no such step."""
    steps, graphs, at = spec.flow, "", len("flow")
    while (level := _LEVEL.match(path, at)) and int(level[1]) < len(steps):
        step, word = steps[int(level[1])], level[3]
        node = step if isinstance(step, str) else ""
        if level[2] not in (None, node) or not path.startswith("flow"):
            return None
        place, at = path[: level.end(1)], level.end()
        inside = _INSIDE[word].match(path, at) if word in _INSIDE else None
        inner = _inner(step, word, inside) if inside else None
        if inside is None or inner is None or (inside.end() == len(path) and word in ("graph", "exhausted")):
            return Spot(place, spec, graphs, node) if at == len(path) else None
        if isinstance(step, SubGraph):
            spec = spec.graphs[step.graph.use]
            graphs, inner = f"{graphs}{spec.name}/", spec.flow
        steps, at = inner, inside.end()
        if at == len(path) and steps:
            return Spot(f"{path}.0", spec, graphs, steps[0] if isinstance(steps[0], str) else "")
    return None


def _inner(step: Step, word: str, found: re.Match[str]) -> Steps | None:
    """The steps inside a step that a part of a path names."""
    if isinstance(step, Repeat):
        after = step.repeat.on_exhausted
        return step.repeat.do if word == "repeat" else after if isinstance(after, tuple) else None
    if isinstance(step, Each) and word == "each":
        return step.each.do
    if isinstance(step, Parallel) and word == "parallel":
        return step.parallel.branches.get(found[1])
    if isinstance(step, Choosing) and word == "choose":
        return _branch(step, found[1])
    return () if isinstance(step, SubGraph) and word == "graph" else None


def _branch(step: Choosing, label: str) -> Steps | None:
    for index, branch in enumerate(step.choose):
        if isinstance(branch, When) and label == str(index):
            return branch.do
        if isinstance(branch, Otherwise) and label == "otherwise":
            return branch.otherwise
    return None


def checked_edits(spec: GraphSpec, at: str, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Edits as `RunRecord.options` keeps them.

    Args:
        spec: The graph.
        at: Path of the step before which channels take the values.
        values: By channel.

    Raises:
        StoreError: The graph has no such step.
        SpecError: A channel is unknown there, or a value is not of its type or beyond its bounds.
    """
    spot = spot_of(spec, at)
    if spot is None:
        raise StoreError(f"Graph '{spec.name}' has no step '{at}'.")
    channels = channels_of(spot.spec)
    problems: list[Problem] = []
    checked: dict[str, Any] = {}
    for name, value in values.items():
        try:
            checked[name] = _as_json(name, value, channels)
        except ValueError as error:
            problems.append(Nowhere("--edit", None, None).problem((name,), str(error)))
    if problems:
        raise SpecError(problems)
    return {spot.place: checked}


def _as_json(name: str, value: Any, channels: Mapping[str, Channel]) -> Any:
    if name not in channels:
        raise ValueError(unknown("channel", name, channels))
    channel = channels[name]
    try:
        typed = _typed(channel, value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{value!r:.60} is no value of the channel: {first['msg']}") from error
    try:
        within = bounded(channel, typed)
    except RunError as error:
        raise ValueError(str(error)) from error
    if within != typed:
        raise ValueError(f"the value is beyond the bounds of the channel (`max` {channel.max}, `bytes` {channel.bytes})")
    return to_jsonable_python(typed)


def _typed(channel: Channel, value: Any) -> Any:
    return TypeAdapter(channel.type).validate_python(value)


def fitting_edits(spec: GraphSpec, edits: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The edits of a run that another graph can take too."""
    kept: dict[str, dict[str, Any]] = {}
    for place, values in edits.items():
        try:
            kept |= checked_edits(spec, place, values)
        except (SpecError, StoreError):
            continue
    return kept


@dataclass(frozen=True, slots=True)
class Edits:
    """The edits of a run as one of its graphs sees them.

    Attributes:
        values: See `EDITS`.
        channels: Of the graph.
    """

    values: Mapping[str, Mapping[str, Any]]
    channels: Mapping[str, Channel]

    def among(self, ops: tuple[Op, ...], where: str) -> tuple[Op, ...]:
        """The steps of a sequence, those before which channels are edited made to do that first."""
        return tuple(
            Edited(op, self.values[place], self.channels) if (place := f"{where}.{index}") in self.values else op
            for index, op in enumerate(ops)
        )


@dataclass(frozen=True, slots=True)
class Edited:
    """A step before which channels take given values."""

    op: Op
    values: Mapping[str, Any]
    channels: Mapping[str, Channel]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        edits = {name: _typed(self.channels[name], value) for name, value in self.values.items()}
        frame.note(edits)
        return await self.op.run({**state, **edits}, frame, where)


def edited_channels(spec: GraphSpec, at: str) -> Iterator[tuple[str, Any]]:
    """Yield name and type of the channels that can be edited at a step."""
    spot = spot_of(spec, at)
    for name, channel in channels_of(spot.spec).items() if spot else ():
        yield name, channel.type
