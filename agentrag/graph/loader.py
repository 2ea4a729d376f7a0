"""Graph files: from text to a checked GraphSpec, or to all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError, UnknownNameError, unknown
from agentrag.core.located import Located, load_yaml, validation_problems
from agentrag.core.node import Node, node
from agentrag.core.prompts import Prompts
from agentrag.core.resources import find_graph, is_file, shipped, shipped_graphs
from agentrag.graph.assemble import assembled
from agentrag.graph.checks.view import Doubts
from agentrag.graph.spec import GraphSpec, known_keys, prompts_of, use_of


def load_graph(name: str | Path) -> GraphSpec:
    """Load and check a graph by file path, or by the name of a shipped one.

    Its prompts are looked for in `prompts/` beside the file, then beside the file's folder, then among the shipped ones;
    the graphs that it runs, from the file's folder, then among the shipped ones. Cost: about 1 ms per step; 0.1 ms per
    prompt where the same text was loaded before in this process.

    Raises:
        SpecError: The file is wrong; `.problems` lists all that is, in file order.
        UnknownNameError: There is no such file or name.
    """
    path = find_graph(str(name))
    if path is None:
        raise UnknownNameError("graph", str(name), shipped_graphs())
    return _load_file(path, ())


def _load_file(path: Path, above: tuple[Path, ...]) -> GraphSpec:
    _refuse_recursion(path.resolve(), above)
    text = read_graph_text(path)
    return _kept(text, str(path), _prompts_near(path), (*above, path.resolve()))


def _refuse_recursion(path: Path, above: tuple[Path, ...]) -> None:
    if path in above:
        chain = " > ".join(each.name for each in (*above[above.index(path) :], path))
        raise SpecError([Problem(str(path), 0, 0, "", f"runs itself: {chain}")])
    if len(above) >= MAX_DEPTH:
        raise SpecError([Problem(str(path), 0, 0, "", f"graphs run each other more than {MAX_DEPTH} levels deep")])


def read_graph_text(path: Path) -> str:
    """The text of a graph file.

    Raises:
        SpecError: It cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(str(path), 0, 0, "", f"cannot be read: {error}")]) from error


def _prompts_near(path: Path) -> Prompts:
    folders = (path.resolve().parent / "prompts", path.resolve().parent.parent / "prompts")
    return Prompts(next((folder for folder in folders if folder.is_dir()), None))


def load_graph_text(text: str, file: str, prompts: Prompts | None = None) -> GraphSpec:
    """Check the text of a graph file; `file` is its name for messages, and says from where other graphs are looked for.

    Raises:
        SpecError: The text is wrong; `.problems` lists all that is, in file order.
    """
    return _kept(text, file, prompts or Prompts(), ())


def _kept(text: str, file: str, prompts: Prompts, above: tuple[Path, ...]) -> GraphSpec:
    """The graph of a text, from an earlier load where nothing that it was made of has changed."""
    key = (sha256(text.encode("utf-8", "surrogatepass")).digest(), file, prompts.folder)
    kept = None if prompts.texts else _KEPT.get(key)
    if kept is not None and kept.holds(prompts, partial(_beside, Path(file), above)):
        return kept.spec
    spec = _checked(text, file, prompts, above)
    if not prompts.texts:
        if len(_KEPT) >= MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = _Kept.of(spec)
    return spec


def _beside(file: Path, above: tuple[Path, ...], use: str) -> GraphSpec:
    """The graph that a step of `file` names."""
    near = file.parent / use
    if not is_file(near) and use not in shipped_graphs():  # what lies in the current folder must not matter
        raise UnknownNameError("graph", use, shipped_graphs())
    path = near if is_file(near) else Path(str(shipped("graphs") / f"{use}.yaml"))
    return _load_file(path, above or (file.resolve(),))


@dataclass(frozen=True)
class _Kept:
    """A graph that was loaded, and the texts of its prompts then."""

    spec: GraphSpec
    prompts: Mapping[str, str]

    @classmethod
    def of(cls, spec: GraphSpec) -> _Kept:
        return cls(spec, {name: spec.prompts.text(name) for name in prompts_of(spec)})

    def holds(self, prompts: Prompts, resolve: Callable[[str], GraphSpec]) -> bool:
        """Whether loading it again would give the same."""
        try:
            same_types = all(node[use_of(item)] is type(item) for item in self.spec.nodes.values())
            same_prompts = all(prompts.text(name) == text for name, text in self.prompts.items())
            return same_types and same_prompts and all(resolve(use) is inner for use, inner in self.spec.graphs.items())
        except SpecError:
            return False


MAX_DEPTH = 8
"""Levels of graphs that run graphs."""
MOST_KEPT = 128
_KEPT: dict[tuple[bytes, str, Path | None], _Kept] = {}


def _checked(text: str, file: str, prompts: Prompts, above: tuple[Path, ...]) -> GraphSpec:
    located = load_yaml(text, file)
    if not isinstance(located.data, dict):
        raise SpecError([located.problem((), "a graph file holds `key: value` lines; it begins with `agentrag: 1`")])
    foreign = [key for key in ("prompts", "graphs") if key in located.data]  # fields of GraphSpec that are no part of a file
    data = {key: value for key, value in located.data.items() if key not in foreign}
    problems = [_unknown_key(located, key) for key in foreign]
    nodes, broken = _nodes(located, data.get("nodes"), problems)
    data |= {"prompts": prompts} | ({"nodes": nodes} if isinstance(data.get("nodes"), dict) else {})
    return assembled(data, located, problems, Doubts(nodes=broken), partial(_beside, Path(file), above))


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
