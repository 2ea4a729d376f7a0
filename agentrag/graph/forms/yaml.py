"""Graphs as YAML: the canonical file of a spec, or the file that it came from with only the changed places changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from agentrag.core.errors import Problem, SpecError
from agentrag.core.located import load_yaml
from agentrag.core.node import Node, node
from agentrag.graph.forms.yaml_lines import Quoted, file_lines
from agentrag.graph.forms.yaml_places import changed
from agentrag.graph.loader import build_node
from agentrag.graph.spec import GraphSpec, InputSpec, use_of

_EXPRESSIONS = frozenset(("when", "until", "best_by", "question"))


def to_yaml(spec: GraphSpec, text: str | None = None) -> str:
    """Write a graph as a file that loads as the same graph. Equal graphs give equal bytes.

    Settings that are what they are by default are left out. Prompts and the graphs that it runs are files of their own.

    Args:
        spec: The graph.
        text: The file that it was loaded from. Its comments and layout are kept, and its bytes change only where `spec`
            differs from it. Where places are not found (below keys that are truth values), the canonical file is the answer.

    Raises:
        SpecError: A node's type has no registered name, so that no file can name it; or `text` is not a graph file.

    >>> from agentrag.graph.loader import load_graph
    >>> to_yaml(load_graph("ask")).splitlines()[:2]
    ['agentrag: 1', 'name: ask']
    """
    data = _graph(spec)
    canonical = "\n".join(file_lines(data)) + "\n"
    if text is None:
        return canonical
    written = changed(text, _graph(_read(text, spec)), data)
    return written if written == text or _says(written, spec, data) else canonical


def _says(text: str, spec: GraphSpec, data: dict[str, Any]) -> bool:
    try:
        return _graph(_read(text, spec)) == data
    except SpecError:
        return False


def _read(text: str, spec: GraphSpec) -> GraphSpec:
    """The graph of a file, unchecked; names that only checks can find wrong are no matter here."""
    located = load_yaml(text, f"graph '{spec.name}'")
    try:
        data = dict(located.data)
        nodes = {name: build_node(settings) for name, settings in dict(data["nodes"]).items()}
        return GraphSpec.model_validate({**data, "nodes": nodes})
    except (KeyError, TypeError, ValueError) as error:  # pydantic's error is a ValueError
        raise SpecError([located.problem((), f"is not a graph that loads: {' '.join(str(error).split())}")]) from error


def _graph(spec: GraphSpec) -> dict[str, Any]:
    kinds = list(node.values())
    unnamed = [(name, type(item).__name__) for name, item in spec.nodes.items() if type(item) not in kinds]
    if unnamed:
        what = "its type, {}, has no registered name: it exists in Python only, and no file can hold it"
        raise SpecError([Problem(f"graph '{spec.name}'", 0, 0, f"nodes.{name}", what.format(kind)) for name, kind in unnamed])
    return _part(spec)


def _part(part: BaseModel) -> dict[str, Any]:
    """A part of the language as the data of a file, without what it says by default."""
    kept = {}
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if not info.exclude and not _is_default(info, value):
            kept[info.alias or name] = Quoted(value) if name in _EXPRESSIONS and isinstance(value, str) else _data(value)
    return kept


def _is_default(info: FieldInfo, value: Any) -> bool:
    return not info.is_required() and bool(value == info.get_default(call_default_factory=True))


def _data(value: Any) -> Any:
    if isinstance(value, InputSpec):
        return _input(value)
    if isinstance(value, Node):
        return dict(_node(value))
    if isinstance(value, BaseModel):
        return _part(value)
    if isinstance(value, Mapping):
        return {_data(key): _data(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(map(_data, value), key=repr)
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    plain = isinstance(value, str | int | float | date | None) and not isinstance(value, Enum)
    return value if plain else to_jsonable_python(value)


def _input(given: InputSpec) -> Any:
    said = _part(given)
    if not given.required:
        said = {"type": said.pop("type"), "default": _data(given.default), **said}
    return said["type"] if said.keys() == {"type"} else said


def _node(item: Node) -> Iterator[tuple[str, Any]]:
    yield "use", use_of(item)
    templates = dict(item.references("template"))
    dumped = item.model_dump(exclude_defaults=True)
    fields = type(item).model_fields
    for name in sorted(fields, key=Node.model_fields.__contains__):  # what every node has comes last
        info = fields[name]
        if name in dumped and not _is_default(info, getattr(item, name)):
            yield info.alias or name, Quoted(templates[name]) if name in templates else _data(dumped[name])
