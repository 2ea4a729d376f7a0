"""What a run keeps of its graph: a hash of every part, and texts to build it from again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentrag.core.errors import Problem, SpecError
from agentrag.core.located import Located, Nowhere
from agentrag.graph.forms.yaml import to_yaml
from agentrag.graph.spec import GraphSpec, prompts_of, use_of

_HEADER = ("inputs", "outputs", "channels", "flow")
_LATER = frozenset({"schema", "share"})
"""Keys of steps that the language has not always had: a flow that does not use them is what it was before."""


@dataclass(frozen=True)
class Manifest:
    """A graph as a run remembers it; see `agentrag.core.ports.RunRecord` for both tables."""

    parts: Mapping[str, str]
    sources: Mapping[str, str]

    @classmethod
    def of(cls, spec: GraphSpec) -> Manifest:
        """Hash and write out a graph. A graph with nodes that no file can name has no sources."""
        try:
            sources = dict(_sources(spec, ""))
        except SpecError:
            sources = {}
        return cls(dict(_parts(spec, "")), sources)


def _parts(spec: GraphSpec, under: str) -> Iterator[tuple[str, str]]:
    data = spec.model_dump(mode="json", include=set(_HEADER))
    for name in _HEADER:
        # values are joined in the order of the branches
        yield f"{under}{name}", _hash(_as_ever(data[name]), ordered=name == "flow")
    for name, said in (("budget", spec.budget), ("degrade", spec.degrade)):
        if said:
            yield f"{under}{name}", _hash(spec.model_dump(mode="json", include={name})[name], ordered=True)
    for slot, binding in spec.models.items():
        yield f"{under}models.{slot}", _hash(binding)
    for name, item in spec.nodes.items():
        yield f"{under}nodes.{name}", _hash([use_of(item), type(item).version, item.model_dump(mode="json")])
    for prompt in prompts_of(spec):
        yield f"{under}prompts.{prompt}", _hash(spec.prompts.text(prompt))
    for use, inner in spec.graphs.items():
        yield from _parts(inner, f"{under}graphs.{use}.")


def _as_ever(data: Any) -> Any:
    """The data of a flow as it was before there were `_LATER` keys, so that runs that began then go on."""
    if isinstance(data, dict):
        return {key: _as_ever(value) for key, value in data.items() if value is not None or key not in _LATER}
    return [_as_ever(item) for item in data] if isinstance(data, list) else data


def _sources(spec: GraphSpec, under: str) -> Iterator[tuple[str, str]]:
    yield f"{under}graph", to_yaml(spec)
    for prompt in prompts_of(spec):
        yield f"{under}prompts.{prompt}", spec.prompts.text(prompt)
    for use, inner in spec.graphs.items():
        yield from _sources(inner, f"{under}graphs.{use}.")


def _hash(value: Any, *, ordered: bool = False) -> str:
    if not isinstance(value, str):
        value = json.dumps(value, sort_keys=not ordered, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(value.encode()).hexdigest()


def changes(before: Mapping[str, str], spec: GraphSpec, located: Located | None = None) -> list[Problem]:
    """What differs between a graph now and its hashes when a run began, in file order.

    Args:
        before: `RunRecord.parts`.
        spec: The graph now.
        located: Knows where its parts stand, where it came from a file.
    """
    located = located or Nowhere(f"graph '{spec.name}'", None, None)
    now = dict(_parts(spec, ""))
    parts = sorted(part for part in before.keys() | now.keys() if before.get(part) != now.get(part))
    found = [_problem(part, _what(part, before, now), spec, located) for part in parts]
    return sorted(found, key=lambda problem: (problem.line, problem.column, problem.path))


def _what(part: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if part not in before:
        return "was not there when the run began"
    return "has changed since the run began" if part in now else "was there when the run began"


def _problem(part: str, what: str, spec: GraphSpec, located: Located) -> Problem:
    kind, _, name = part.partition(".")
    if kind == "prompts":
        users = [
            (node, setting) for node, item in spec.nodes.items() for setting, used in item.references("prompt") if used == name
        ]
        return located.problem(("nodes", *users[0]) if users else ("nodes",), f"prompt '{name}' {what}")
    path = ("flow",) if kind == "graphs" else (kind, name) if name else (kind,)
    return located.problem(path, f"'{part}' {what}", key=True)
