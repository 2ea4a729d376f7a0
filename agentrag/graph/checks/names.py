"""All that can be known to be wrong with a graph before it runs. A check yields findings; none stops another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agentrag.core.channels import INPUT_TYPES, Channel
from agentrag.core.errors import SpecError, UnknownNameError, unknown
from agentrag.core.node import Node
from agentrag.core.prompts import Prompt
from agentrag.core.template import Template
from agentrag.graph.channels import Finding, Path, channels_of, conflicts
from agentrag.graph.checks.ladder import ladder, variants
from agentrag.graph.checks.paths import unwritten
from agentrag.graph.checks.pauses import pauses
from agentrag.graph.checks.steps import structure
from agentrag.graph.checks.trust import steering
from agentrag.graph.checks.view import Doubts, Graph
from agentrag.graph.inputs import input_bytes
from agentrag.graph.memo import once_a_graph
from agentrag.graph.parts import channel_name
from agentrag.graph.planning.cases import Worst
from agentrag.graph.planning.walk import reckoned
from agentrag.graph.spec import GraphSpec, use_of
from agentrag.graph.steps import SubGraph, walk

RESERVED = frozenset({"budget", "collections", "deps", "models", "on_event", "self", "settings"})
"""Arguments of `Graph.run` and `Graph.stream`, which take inputs as further arguments."""
MOST_STEPS = 2_000
"""Steps of a graph with those of the graphs that it runs: what is checked, planned and drawn grows with them."""


def findings(spec: GraphSpec, doubts: Doubts | None = None) -> list[Finding]:
    """All that is wrong with a graph. Cost: about 40 us per condition, 0.1 ms per prompt file, and little else."""
    doubts = doubts or Doubts()
    table = {**channels_of(spec), **{name: Channel(Any) for name in doubts.channels}}
    table = dict.fromkeys(_of_doubted_graphs(spec, doubts), Channel(Any)) | table
    graph = Graph(spec, doubts, table)
    found = list(_prompts(graph))  # fills graph.prompts, which the others read
    parts = (_inputs, _slots, ladder, _steps, structure, pauses, _writes, _holes)
    found += chain(conflicts(spec), *(part(graph) for part in parts))
    steps = {step for _, step in walk(spec.flow) if isinstance(step, str)}
    if steps <= spec.nodes.keys() | doubts.nodes and not doubts.graphs:  # what an unknown node writes is unknown too
        found += unwritten(spec, graph.channels, graph.reads, (doubts.channels, doubts.nodes), doubts.flow)
    return found or ([] if doubts != Doubts() else [*_kept(spec), *variants(spec, findings)])


def _kept(spec: GraphSpec) -> Iterator[Finding]:
    """Yield settings that keep more items of a channel than can ever arrive. The graph must be right otherwise."""
    given = {
        name: {key: kept for key, kept in item.keeps().items() if key in item.model_fields_set}
        for name, item in spec.nodes.items()
    }
    standing = reckoned(spec, Worst(), {})[1].values() if any(given.values()) else ()
    for name, settings in given.items():
        tables = [known.table for known in standing if known.name == name]
        for setting, (channel, number) in settings.items():
            arriving = max((table[channel].items for table in tables if channel in table), default=number)
            if number > arriving:
                told = f"keeps {number} of '{channel}', but at most {arriving} can arrive here"
                yield Finding(("nodes", name, setting), told)


def _of_doubted_graphs(spec: GraphSpec, doubts: Doubts) -> set[str]:
    steps = [step.graph for _, step in walk(spec.flow) if isinstance(step, SubGraph)]
    return {name for step in steps if step.use in doubts.graphs for name in step.out.values()}


def _inputs(graph: Graph) -> Iterator[Finding]:
    if not graph.spec.inputs and not graph.doubts.flow:
        yield Finding(("inputs",), "a graph needs at least one input")
    for name, given in graph.spec.inputs.items():
        if name in RESERVED:
            yield Finding(
                ("inputs", name), f"`Graph.run` takes '{name}' for something else; give the input another name", key=True
            )
        adapter: TypeAdapter[Any] = TypeAdapter(INPUT_TYPES[given.type])
        values = list(enumerate(given.values or ()))
        settled: list[tuple[Path, Any]] = [(("inputs", name, "values", index), value) for index, value in values]
        if not given.required:
            settled.append((("inputs", name, "default"), given.default))
        for path, value in settled:
            try:
                adapter.validate_json(json.dumps(value, default=str), strict=True)
            except ValidationError:
                yield Finding(path, f"{value!r} is not of type {given.type}")
        most = input_bytes(graph.spec, name)
        for path, value in settled:
            if isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > most:
                yield Finding(path, f"has more bytes than the {most} that channel '{name}' may have")
        if given.values is not None and not given.required and given.default not in given.values:
            allowed = ", ".join(map(str, given.values))
            yield Finding(("inputs", name, "default"), f"{given.default!r} is not one of the values: {allowed}")


def _slots(graph: Graph) -> Iterator[Finding]:
    used = {slot for inner in graph.spec.graphs.values() for slot in inner.slots}
    for name, item in graph.spec.nodes.items():
        for setting, slot in item.references("model"):
            used.add(slot)
            if slot not in graph.spec.models and slot not in graph.doubts.slots:
                hint = " Slots are declared under `models:`."
                yield Finding(("nodes", name, setting), unknown("model slot", slot, graph.spec.models) + hint)
    if not graph.doubts.nodes and not graph.doubts.graphs:
        for slot in sorted(graph.spec.models.keys() - used):
            yield Finding(("models", slot), f"no node asks for model slot '{slot}'", key=True)


def _steps(graph: Graph) -> Iterator[Finding]:
    """Yield node names in the flow that do not exist, and nodes that are not in the flow."""
    known = graph.spec.nodes.keys() | graph.doubts.nodes
    steps = [(path, step) for path, step in walk(graph.spec.flow) if isinstance(step, str)]
    for path, step in steps:
        if step not in known:
            yield Finding(path, unknown("node", step, known))
    if (count := steps_in_all(graph.spec)) > MOST_STEPS:
        yield Finding(("flow",), f"has {count:,} steps, with those of the graphs that it runs; at most {MOST_STEPS:,} may be")
    if not graph.spec.flow and not graph.doubts.flow:
        yield Finding(("flow",), "a graph needs at least one step")
    elif not graph.doubts.flow:
        for name in sorted(known - {step for _, step in steps}):
            yield Finding(("nodes", name), f"no step of the flow runs node '{name}'", key=True)


@once_a_graph
def steps_in_all(spec: GraphSpec) -> int:
    """How many steps a graph has, those of the graphs that it runs counted at every step that runs them."""
    steps = [step for _, step in walk(spec.flow)]
    inner = [spec.graphs[step.graph.use] for step in steps if isinstance(step, SubGraph) and step.graph.use in spec.graphs]
    return len(steps) + sum(steps_in_all(graph) for graph in inner)


def _prompts(graph: Graph) -> Iterator[Finding]:
    """Yield what is wrong with the prompts that nodes name, and remember those that are right."""
    for name, item in graph.spec.nodes.items():
        for setting, prompt in item.references("prompt"):
            path = ("nodes", name, setting)
            try:
                graph.prompts[name, setting] = graph.spec.prompts[prompt]
            except UnknownNameError as error:
                yield Finding(path, str(error))
            except SpecError as error:
                for problem in error.problems:
                    yield Finding(path, f"prompt '{prompt}' is wrong: {problem}")
            else:
                yield from _trust(graph, item, graph.prompts[name, setting], path)


def _trust(graph: Graph, item: Node, prompt: Prompt, path: Path) -> Iterator[Finding]:
    for hole in steering(item, prompt, graph.channels):
        who = f"the node fills hole '{hole}' with" if hole in item.fills else f"channel '{hole}' holds"
        why = f"prompt '{prompt.name}' takes it as an instruction"
        yield Finding(path, f"{who} text of documents, tools or a model, but {why}; only data may be untrusted")


def _holes(graph: Graph) -> Iterator[Finding]:
    """Yield holes that nothing can fill. In a prompt, which may serve many graphs, an optional hole may stay open."""
    for name, item in graph.spec.nodes.items():
        known = graph.channels.keys() | item.fills
        for setting, text in item.references("template"):
            for hole in Template(text).holes:
                if hole.name not in known:
                    yield Finding(("nodes", name, setting), unknown("channel", hole.name, known), offset=hole.start + 1)
        for setting, _ in item.references("prompt"):
            prompt = graph.prompts.get((name, setting))
            for hole_name in sorted(prompt.required - known if prompt else ()):
                yield Finding(("nodes", name, setting), _open_hole(prompt.name if prompt else "", hole_name, known))


def _open_hole(prompt: str, hole: str, known: Any) -> str:
    near = get_close_matches(hole, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"prompt '{prompt}' has a hole {{{hole}}} that no channel fills.{hint} Known: {', '.join(sorted(known))}."


def _writes(graph: Graph) -> Iterator[Finding]:
    """Yield channels that node types name and nobody declares: no type and no bound would be known for them."""
    for name, item in graph.spec.nodes.items():
        path = ("nodes", name)
        for channel in sorted((item.writes() | item.reads()) - graph.channels.keys()):
            yield Finding(path, f"{use_of(item)}: {unknown('channel', channel, graph.channels)} Declare it under `channels:`.")
        yield from _renamed(item, path)
    for index, output in enumerate(graph.spec.outputs):
        if output not in graph.channels:
            yield Finding(("outputs", index), unknown("channel", output, graph.channels))
    if not graph.spec.outputs and not graph.doubts.flow:
        yield Finding(("outputs",), "a graph needs at least one output")


def _renamed(item: Node, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with the other names that a node's channels are written under."""
    for raw, name in item.out.items():
        if raw not in item.writes():
            yield Finding((*path, "out", raw), f"{use_of(item)}: {unknown('written channel', raw, item.writes())}", key=True)
        try:
            channel_name(name)
        except ValueError as error:
            yield Finding((*path, "out", raw), f"'{name}': {error}")
    targets = [item.out.get(raw, raw) for raw in sorted(item.writes())]
    for name in sorted({name for name in targets if targets.count(name) > 1}):
        yield Finding((*path, "out"), f"two of its channels would be written to '{name}'")
