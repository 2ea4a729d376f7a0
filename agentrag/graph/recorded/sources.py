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
from agentrag.graph.assemble import assembled
from agentrag.graph.checks.view import Doubts
from agentrag.graph.loader import build_node, read_graph_text
from agentrag.graph.recorded.manifest import changes
from agentrag.graph.spec import GraphSpec
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


def refuse_changed(record: RunRecord, spec: GraphSpec, file: Path | None) -> None:
    """Refuse to go on with a run with another graph than it began with; `file` is where the graph now comes from.

    Raises:
        ChangedError: The graph, a prompt or the version of a node is not what it was.
    """
    located = None if file is None else load_yaml(read_graph_text(file), str(file))
    problems = changes(record.parts, spec, located)
    if problems:
        raise ChangedError(record.run, problems)


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
        settings: Values by "NODE.SETTING", e.g. `{"search.k": 8}`.

    Raises:
        SpecError: A node, a setting or a value is wrong, or the graph is with them.
    """
    located = Nowhere("--set", None, None)
    problems: list[Problem] = []
    nodes = dict(spec.nodes)
    for path, value in settings.items():
        name, _, setting = path.partition(".")
        if name not in nodes:
            problems.append(located.problem(("nodes", name), unknown("node", name, spec.nodes)))
            continue
        try:
            nodes[name] = _with_setting(nodes[name], setting, value)
        except ValidationError as error:
            problems += validation_problems(error, located, ("nodes", name), list(type(nodes[name]).model_fields))
    data = {field: getattr(spec, field) for field in type(spec).model_fields} | {"nodes": nodes}
    return assembled(data, located, problems, Doubts())


def _with_setting(item: Node, name: str, value: Any) -> Node:
    """Made from what a file would say, so that the value is checked and converted as there."""
    return type(item).model_validate({**item.model_dump(exclude_unset=True), name: value})
