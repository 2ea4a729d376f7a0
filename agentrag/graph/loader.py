"""Graph files: from text to a checked GraphSpec, or to all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError, UnknownNameError, unknown
from agentrag.core.located import Located, load_yaml, validation_problems
from agentrag.core.node import Node, node
from agentrag.core.prompts import Prompts
from agentrag.core.resources import find_graph, shipped_graphs
from agentrag.graph.assemble import assembled
from agentrag.graph.checks import Doubts
from agentrag.graph.spec import GraphSpec, known_keys


def load_graph(name: str | Path) -> GraphSpec:
    """Load and check a graph by file path, or by the name of a shipped one.

    Its prompts are looked for in `prompts/` beside the file, then beside the file's folder, then among the shipped ones.

    Raises:
        SpecError: The file is wrong; `.problems` lists all that is, in file order.
        UnknownNameError: There is no such file or name.
    """
    path = find_graph(str(name))
    if path is None:
        raise UnknownNameError("graph", str(name), shipped_graphs())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(str(path), 0, 0, "", f"cannot be read: {error}")]) from error
    return load_graph_text(text, str(path), _prompts_near(path))


def _prompts_near(path: Path) -> Prompts:
    folders = (path.resolve().parent / "prompts", path.resolve().parent.parent / "prompts")
    return Prompts(next((folder for folder in folders if folder.is_dir()), None))


def load_graph_text(text: str, file: str, prompts: Prompts | None = None) -> GraphSpec:
    """Check the text of a graph file; `file` is its name for messages.

    Raises:
        SpecError: The text is wrong; `.problems` lists all that is, in file order.
    """
    located = load_yaml(text, file)
    if not isinstance(located.data, dict):
        raise SpecError([located.problem((), "a graph file holds `key: value` lines; it begins with `agentrag: 1`")])
    data = {key: value for key, value in located.data.items() if key != "prompts"}
    problems = [] if "prompts" not in located.data else [_unknown_key(located, "prompts")]
    nodes, broken = _nodes(located, data.get("nodes"), problems)
    data |= {"prompts": prompts or Prompts()} | ({"nodes": nodes} if isinstance(data.get("nodes"), dict) else {})
    return assembled(data, located, problems, Doubts(nodes=broken))


def _unknown_key(located: Located, key: str) -> Problem:
    return located.problem((key,), unknown("key", key, known_keys(())), key=True)


def _nodes(located: Located, given: Any, problems: list[Problem]) -> tuple[dict[str, Node], frozenset[str]]:
    """The nodes that are right, and the names of those that are not."""
    if not isinstance(given, Mapping):
        return {}, frozenset()
    built = {}
    for name, settings in given.items():
        try:
            built[name] = build_node(settings)
        except UnknownNameError as error:
            problems.append(located.problem(("nodes", name, "use"), str(error)))
        except ValidationError as error:
            known = ["use", *node[settings["use"]].model_fields]
            problems += validation_problems(error, located, ("nodes", name), known)
        except ValueError as error:
            problems.append(located.problem(("nodes", name), str(error)))
    return built, frozenset(str(name) for name in _names(given.keys() - built.keys()))


def _names(keys: Iterable[Any]) -> list[Any]:
    return [key for key in keys if isinstance(key, str)]


def build_node(settings: Any) -> Node:
    """Make a node from what a file says of it.

    Raises:
        UnknownNameError: No node type has the name under `use`.
        ValidationError: A setting is wrong.
        ValueError: It is not a mapping with a `use`.
    """
    if not isinstance(settings, Mapping):
        raise ValueError(f"{settings!r:.60} is not a node; write `{{use: TYPE, ...}}`")  # noqa: TRY004  # bad input, not a bug
    if not isinstance(settings.get("use"), str):
        raise ValueError("'use' is missing; it names the type of the node")  # noqa: TRY004  # as above
    kind = node[settings["use"]]
    return kind.model_validate({key: value for key, value in settings.items() if key != "use"})
