"""YAML with places: every value knows its line and column, and a validation error becomes a located problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from agentrag.core.errors import Problem, SpecError, unknown

MAX_CHARACTERS = 100_000
MAX_DEPTH = 40
SAID = "said"
"""Type of a PydanticCustomError whose message already names the offending text."""
Path = Sequence[str | int]
Place = tuple[int, int]

_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map"))
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


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
    _text: str = ""

    def place(self, path: Path) -> Place:
        """Line and column, both from 1, of the value at `path`, or of its nearest existing parent."""
        node = self._nearest(path)[0]
        return (1, 1) if node is None or not path else _start(node)

    def key_place(self, path: Path) -> Place:
        """Line and column of the key that ends `path`; for list items, of the item."""
        if not path:
            return self.place(path)
        parent, found = self._nearest(path[:-1])
        if found:
            for key, _ in _pairs(parent):
                if key.value == str(path[-1]):
                    return _start(key)
        return self.place(path)

    def inner_place(self, path: Path, offset: int) -> Place:
        """Line and column of character `offset` of the text at `path`; of the text's begin where that is not known."""
        node, found = self._nearest(path)
        if not found or getattr(node, "id", "") != "scalar":
            return self.place(path)
        line, column = _start(node)
        if node.style == "|":
            return _in_block(self._text, node, offset) or (line, column)
        if node.start_mark.line != node.end_mark.line:
            return line, column
        source = self._text[node.start_mark.index : node.end_mark.index]
        return line, column + _in_line(source, node.style, offset)

    def problem(self, path: Path, message: str, *, key: bool = False, offset: int | None = None) -> Problem:
        """A problem of the value at `path`, of its key, or of the character `offset` in its text."""
        if offset is not None:
            line, column = self.inner_place(path, offset)
        else:
            line, column = self.key_place(path) if key else self.place(path)
        return Problem(self.file, line, column, dotted(path), message)

    def _nearest(self, path: Path) -> tuple[Any, bool]:
        node = self._root
        for part in path:
            child = _child(node, part)
            if child is None:
                return node, False
            node = child
        return node, True


class Nowhere(Located):
    """Data that stands in no file, so that its problems have a path and no place."""

    def place(self, path: Path) -> Place:
        """Line 0, column 0: unknown."""
        return 0, 0


def dotted(path: Path) -> str:
    """Write a path as "nodes.search.k"."""
    return ".".join(map(str, path))


def load_yaml(text: str, file: str) -> Located:
    """Parse YAML safely: one document, no tags, aliases or directives, bounded size and depth, no key twice.

    Raises:
        SpecError: The text is not such YAML; the problem says where.
    """
    # lazy: ruamel costs 50 ms of start-up
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import MaxDepthExceededError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_CHARACTERS:
        raise SpecError([Problem(file, 1, 1, "", f"is larger than {MAX_CHARACTERS:,} characters")])
    if directive := _DIRECTIVE.search(text):
        line = text.count("\n", 0, directive.start()) + 1
        raise SpecError([Problem(file, line, 1, "", "YAML directives are not part of this language")])
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.max_depth = MAX_DEPTH  # the time that ruamel needs grows with the square of the depth
        constructor, _ = yaml.get_constructor_parser(text)
        constructor.composer.warn_double_anchors = False  # every anchor is refused below
        root = constructor.composer.get_single_node()
        _refuse_foreign(root, file)
        data = None if root is None else constructor.construct_document(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        deep = isinstance(error, MaxDepthExceededError)
        what = f"is nested more than {MAX_DEPTH} levels deep" if deep else f"is not YAML: {error.problem or error.context}"
        raise SpecError([Problem(file, line, column, "", _one_line(what))]) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise SpecError([Problem(file, 1, 1, "", f"is not YAML: {_one_line(error)}")]) from error
    return Located(file, data, root, text)


def _refuse_foreign(root: Any, file: str) -> None:
    """Refuse what YAML has and this language has not, before anything is built from it."""
    nodes = [] if root is None else [root]
    for node in nodes:  # grows while it is walked
        message = None
        if node.anchor:
            message = "YAML anchors and aliases are not part of this language"
        elif str(node.tag) not in _TAGS:
            message = f"YAML tag '{str(node.tag).removeprefix(_TAG)}' is not part of this language"
        elif node.id == "scalar" and _SURROGATE.search(node.value):
            message = "an escape like \\ud83d is half a character; write the character itself"
        if message:
            raise SpecError([Problem(file, *_start(node), "", message)])
        nodes.extend(_children(node))


def _start(node: Any) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    return node.value if getattr(node, "id", "") == "mapping" else []


def _children(node: Any) -> Iterator[Any]:
    if node.id == "sequence":
        yield from node.value
    for pair in _pairs(node):
        yield from pair


def _child(node: Any, part: str | int) -> Any:
    if getattr(node, "id", "") == "sequence":
        return node.value[part] if isinstance(part, int) and 0 <= part < len(node.value) else None
    return next((value for key, value in _pairs(node) if key.value == str(part)), None)


def _in_line(source: str, style: str | None, offset: int) -> int:
    """How far character `offset` of a one-line scalar's value stands behind the begin of its source."""
    if style not in ("'", '"'):
        return offset
    at = 1
    for _ in range(offset):
        escape = _ESCAPE.match(source, at) if style == '"' else None
        at += len(escape[0]) if escape else 2 if style == "'" and source[at : at + 2] == "''" else 1
    return at


def _in_block(text: str, node: Any, offset: int) -> Place | None:
    before = node.value[:offset]
    line = node.start_mark.line + 1 + before.count("\n")
    lines = text.splitlines()
    value_lines = node.value.split("\n")
    if line >= len(lines) or not lines[line].endswith(value_lines[before.count("\n")]):
        return None
    indent = len(lines[line]) - len(value_lines[before.count("\n")])
    return line + 1, indent + offset - before.rfind("\n")


Known = Iterable[str] | Callable[[Path], Iterable[str]]


def validation_problems(
    error: ValidationError, located: Located, under: Path = (), known: Known = (), hidden: Collection[str] = ()
) -> list[Problem]:
    """Turn pydantic's errors into problems of the file.

    Args:
        error: What pydantic raised.
        located: Where its values stand.
        under: Path of what was validated.
        known: The allowed keys, for the nearest-name hint, or what gives them for the path of a mapping.
        hidden: Keys whose values are secret: they are not shown, nor is a mapping that may hold them.
    """
    problems = []
    for item in error.errors(include_url=False):
        path = [*under, *_in_file(item["loc"])]
        key = item["loc"][-1:] == ("[key]",)
        if item["type"] == "extra_forbidden":
            keys = known(path[:-1]) if callable(known) else known
            problems.append(located.problem(path, unknown("key", str(path[-1]), keys), key=True))
        elif item["type"] == "missing":
            problems.append(located.problem(path[:-1], f"'{path[-1]}' is missing"))
        else:
            secret = hidden and (isinstance(item["input"], Mapping) or not set(path).isdisjoint(hidden))
            shown = "" if secret else f"{_shown(item['input'])}: "
            said = item["msg"] if item["type"] == SAID else shown + _said(item["msg"])
            problems.append(located.problem(path, said, key=key))
    return problems


def _in_file(loc: Path) -> list[str | int]:
    """A pydantic location without what the file does not have: marks of keys and tags of unions."""
    return [part for part in loc if not (isinstance(part, str) and re.fullmatch(r"\[key\]|<[\w-]+>", part))]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "should be")
    message = (
        message.replace("a valid dictionary", "a mapping").replace("a valid tuple", "a list").replace("a valid list", "a list")
    )
    message = re.sub(r" or instance of \w+$", "", message)
    message = re.sub(r"^(?:Dictionary|Tuple|List) (should have at (?:least|most) \d+) items? after .*", r"\1 entries", message)
    return message if message[1:2].isupper() else message[:1].lower() + message[1:]


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
