"""YAML with places: every value knows its line and column, and a validation error becomes a located problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError, unknown

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
Path = Sequence[str | int]


@dataclass(frozen=True)
class Located:
    """Parsed YAML and where it stands.

    Attributes:
        file: Name for messages.
        data: Plain dicts, lists and scalars.
    """

    file: str
    data: Any
    _root: Any

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column, both from 1, of the value at `path`, or of its nearest existing parent."""
        node, place = self._root, (1, 1)
        for part in path:
            step = _child(node, part)
            if step is None:
                break
            place, node = step
        return place

    def key_place(self, path: Path) -> tuple[int, int]:
        """Line and column of the key that ends `path`; for list items, of the item."""
        node = self._root
        for part in path[:-1]:
            step = _child(node, part)
            if step is None:
                return self.place(path)
            node = step[1]
        for key, _ in _pairs(node):
            if path and key.value == str(path[-1]):
                return key.start_mark.line + 1, key.start_mark.column + 1
        return self.place(path)

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem at `path`; with `key` it points at the key instead of the value."""
        line, column = self.key_place(path) if key else self.place(path)
        return Problem(self.file, line, column, dotted(path), message)


def dotted(path: Path) -> str:
    """Write a path as "nodes.search.k"."""
    return ".".join(map(str, path))


def load_yaml(text: str, file: str) -> Located:
    """Parse YAML safely: no tags, no aliases, bounded size and depth, no key twice.

    Raises:
        SpecError: The text is not such YAML; the problem says where.
    """
    # lazy: ruamel costs 50 ms of start-up
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_BYTES:
        raise SpecError([Problem(file, 1, 1, "", f"is larger than {MAX_BYTES:,} characters")])
    try:
        _refuse_aliases(text, file)
        root = YAML(typ="safe", pure=True).compose(text)
        _refuse_depth(root, file)
        data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise SpecError([Problem(file, line, column, "", f"is not YAML: {error.problem or error.context}")]) from error
    except (YAMLError, ValueError) as error:
        raise SpecError([Problem(file, 1, 1, "", f"is not YAML: {' '.join(str(error).split())}")]) from error
    return Located(file, data, root)


def _refuse_aliases(text: str, file: str) -> None:
    from ruamel.yaml import YAML  # lazy, as above
    from ruamel.yaml.events import AliasEvent

    for event in YAML(typ="safe", pure=True).parse(text):
        tag = getattr(event, "tag", None)
        what = "aliases" if isinstance(event, AliasEvent) else "tags" if tag is not None and str(tag) != "!" else None
        if what:
            mark = event.start_mark
            raise SpecError([Problem(file, mark.line + 1, mark.column + 1, "", f"YAML {what} are not part of this language")])


def _refuse_depth(root: Any, file: str) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    mark = level[0].start_mark
    raise SpecError([Problem(file, mark.line + 1, mark.column + 1, "", f"is nested more than {MAX_DEPTH} levels deep")])


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return node.value if getattr(node, "id", "") == "mapping" else []


def _children(node: Any) -> list[Any]:
    if getattr(node, "id", "") == "sequence":
        return list(node.value)
    return [value for _, value in _pairs(node)]


def _child(node: Any, part: str | int) -> tuple[tuple[int, int], Any] | None:
    if getattr(node, "id", "") == "sequence" and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return (child.start_mark.line + 1, child.start_mark.column + 1), child
    for key, value in _pairs(node):
        if key.value == str(part):
            return (value.start_mark.line + 1, value.start_mark.column + 1), value
    return None


def validation_problems(error: ValidationError, located: Located, under: Path = (), known: Sequence[str] = ()) -> list[Problem]:
    """Turn pydantic's errors into problems of the file. `known` are the allowed keys, for the nearest-name hint."""
    problems = []
    for item in error.errors(include_url=False):
        path = [*under, *item["loc"]]
        if item["type"] == "extra_forbidden":
            problems.append(located.problem(path, unknown("key", str(path[-1]), known), key=True))
        elif item["type"] == "missing":
            problems.append(located.problem(path[:-1], f"'{path[-1]}' is missing"))
        else:
            problems.append(located.problem(path, f"{item['input']!r:.80}: {_said(item['msg'])}"))
    return problems


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "should be")
    return message[:1].lower() + message[1:]
