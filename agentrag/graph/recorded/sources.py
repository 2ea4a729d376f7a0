"""What a run keeps of its graph and its outputs, made into a graph and outputs again; graphs with other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from agentrag.core.channels import STANDARD
from agentrag.core.errors import ChangedError, Problem, SpecError, StoreError, UnknownNameError, unknown
from agentrag.core.located import Located, Nowhere, load_yaml, validation_problems
from agentrag.core.node import Node, node
from agentrag.core.ports import RunRecord
from agentrag.core.prompts import Prompts
from agentrag.core.resources import is_file, shipped, shipped_graphs
from agentrag.graph.assemble import assembled
from agentrag.graph.checks.view import Doubts
from agentrag.graph.loader import build_node, read_graph_text
from agentrag.graph.recorded.manifest import changes
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import with_setting
from agentrag.journal.past import PastRun


def recorded_graph(record: RunRecord) -> GraphSpec:
    """The graph of a run as it was when the run began, from the texts in its record alone.

    Raises:
        SpecError: The record holds no such texts, or they do not load here, e.g. because a plugin is missing.
    """
    name = f"run {record.run}"
    if "graph" not in record.sources:
        why = "a node of it has no registered name, so no file can name it" if record.graph else "no graph made it"
        raise SpecError([Problem(name, 0, 0, "", f"keeps no graph to build again: {why}")])
    return _built(record.sources, name, "")


def _built(texts: Mapping[str, str], name: str, use: str) -> GraphSpec:
    """The graph among `texts` that others name `use` ("" for the outermost), with those that it runs."""
    if "graph" not in texts:
        raise UnknownNameError("graph", use, ())
    located = load_yaml(texts["graph"], f"{name}, graph {use}" if use else name)
    if not isinstance(located.data, dict) or not isinstance(located.data.get("nodes"), dict):
        raise SpecError([located.problem((), "is no graph")])
    problems: list[Problem] = []
    nodes = dict(_nodes(located, problems))
    data = {**located.data, "nodes": nodes, "prompts": Prompts(texts=_below(texts, "prompts."))}
    doubts = Doubts(nodes=frozenset(located.data["nodes"].keys() - nodes.keys()))
    return assembled(data, located, problems, doubts, partial(_inner, texts, name))


def _inner(texts: Mapping[str, str], name: str, use: str) -> GraphSpec:
    return _built(_below(texts, f"graphs.{use}."), name, use)


def _below(texts: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): text for name, text in texts.items() if name.startswith(prefix)}


def _nodes(located: Located, problems: list[Problem]) -> Iterator[tuple[str, Node]]:
    """Yield the nodes that can be built; `problems` is told of the others."""
    for name, settings in located.data["nodes"].items():
        try:
            yield name, build_node(settings)
        except UnknownNameError as error:
            problems.append(located.problem(("nodes", name, "use"), str(error)))
        except ValidationError as error:
            problems += validation_problems(error, located, ("nodes", name), ["use", *node[settings["use"]].model_fields])
        except ValueError as error:
            problems.append(located.problem(("nodes", name), str(error)))


def inner_file(file: Path, use: str) -> Path | None:
    """The file of the graph that a step of `file` names; None where it is not there."""
    near = file.parent / use
    if is_file(near):
        return near
    return Path(str(shipped("graphs") / f"{use}.yaml")) if use in shipped_graphs() else None


def lacks_graphs(file: Path, spec: GraphSpec) -> bool:
    """Whether a graph that `spec`, as it was recorded, runs is not to be found any more beside its file."""
    found = {use: inner_file(file, use) for use in spec.graphs}
    return any(inner is None or lacks_graphs(inner, spec.graphs[use]) for use, inner in found.items())


def refuse_changed(record: RunRecord, spec: GraphSpec, file: Path | None) -> None:
    """Refuse to go on with a run with another graph than it began with; `file` is where the graph now comes from.

    Raises:
        ChangedError: The graph, a prompt or the version of a node is not what it was.
    """
    problems = _changes(record.parts, spec, file)
    if problems:
        raise ChangedError(record.run, problems)


def _changes(before: Mapping[str, str], spec: GraphSpec, file: Path | None) -> list[Problem]:
    """What has changed in a graph, and in those that it runs, each part located in the file of its own graph."""
    located = None if file is None else load_yaml(read_graph_text(file), str(file))
    inner = {use: f"graphs.{use}." for use in spec.graphs}
    own = {part: text for part, text in before.items() if not part.startswith(tuple(inner.values()))}
    problems = changes(own, spec.model_copy(update={"graphs": {}}), located)
    for use, prefix in inner.items():
        found = _below(before, prefix)
        if found:
            problems += _changes(found, spec.graphs[use], file and inner_file(file, use))
    return problems


def recorded_outputs(past: PastRun) -> dict[str, Any]:
    """The outputs of a finished run, those of standard channels with the types that the graph gave.

    Raises:
        StoreError: They are damaged.
    """
    try:
        outputs: dict[str, Any] = from_json(past.outputs or b"{}")
        return {name: _typed(name, value) for name, value in outputs.items()}
    except ValueError as error:  # pydantic's error is one
        raise StoreError(f"The recorded outputs of run {past.record.run} are damaged: {error}") from error


def _typed(name: str, value: Any) -> Any:
    return TypeAdapter(STANDARD[name].type).validate_python(value) if name in STANDARD else value


def with_settings(spec: GraphSpec, settings: Mapping[str, Any]) -> GraphSpec:
    """A graph with other settings of nodes, checked as if a file said so.

    Args:
        spec: A checked graph.
        settings: Values by "NODE.SETTING", e.g. `{"search.k": 8}`, or by "GRAPH/NODE.SETTING".

    Raises:
        SpecError: A node, a setting or a value is wrong, or the graph is with them.
    """
    located = Nowhere("--set", None, None)
    problems: list[Problem] = []
    nodes, graphs = dict(spec.nodes), dict(spec.graphs)
    for path, value in settings.items():
        if "/" in path.partition(".")[0]:
            problems += _set_inside(graphs, path, value)
            continue
        name, _, setting = path.partition(".")
        if name not in nodes:
            problems.append(located.problem(("nodes", name), unknown("node", name, spec.nodes)))
            continue
        try:
            nodes[name] = with_setting(nodes[name], setting, value)
        except ValidationError as error:
            problems += validation_problems(error, located, ("nodes", name), list(type(nodes[name]).model_fields))
    data = {field: getattr(spec, field) for field in type(spec).model_fields} | {"nodes": nodes, "graphs": graphs}
    return assembled(data, located, problems, Doubts())


def _set_inside(graphs: dict[str, GraphSpec], path: str, value: Any) -> list[Problem]:
    """Set "GRAPH/NODE.SETTING" in the graphs of that name, however a step names them; what is wrong with that."""
    name, _, rest = path.partition("/")
    uses = [use for use, inner in graphs.items() if inner.name == name]
    if not uses:
        known = {inner.name for inner in graphs.values()}
        return [Nowhere("--set", None, None).problem(("nodes", path.partition(".")[0]), unknown("graph", name, known))]
    try:
        graphs |= {use: with_settings(graphs[use], {rest: value}) for use in uses}
    except SpecError as error:
        return list(error.problems)
    return []
