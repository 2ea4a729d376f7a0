"""Data of a graph file as text, in the manner of the shipped graphs: the flow in blocks, nodes and settings one a line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

Path = tuple[str | int, ...]

_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""What some YAML reader takes for something else than text."""
_BLOCK = re.compile(r"[^\W\d](?!.*(?:: | #))(?:.*[^\s:])?")
_FLOW = re.compile(r"[^\W\d](?!.*(?:: | #))(?:[^,\[\]{}]*[^\s:,\[\]{}])?")
_SECTIONS = ("inputs", "channels", "nodes", "flow")
_APART = frozenset(("inputs", "channels", "models", "nodes", "flow"))
_BODIES = frozenset(("choose", "repeat", "parallel", "each"))


class Quoted(str):
    """Text that is written in quotes even where YAML needs none: conditions, templates."""

    __slots__ = ()


def file_lines(data: dict[str, Any]) -> Iterator[str]:
    """The lines of a whole file."""
    for name, value in data.items():
        if name in _APART:
            yield ""
        yield from entry_lines((name,), value, 0)


def entry_lines(path: Path, value: Any, indent: int) -> Iterator[str]:
    """The lines of `key: value` in a block; the key is the end of `path`."""
    head = f"{' ' * indent}{inline(path[-1])}:"
    if not is_block(path, value):
        yield f"{head} {inline(value, flow=False)}"
        return
    yield head
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from entry_lines((*path, key), inner, indent + 2)
    else:
        deeper = indent if path[-1] == "otherwise" else indent + 2
        for index, item in enumerate(value):
            yield from item_lines((*path, index), item, deeper)


def item_lines(path: Path, value: Any, indent: int) -> Iterator[str]:
    """The lines of `- value` in a block."""
    dash = f"{' ' * indent}- "
    if not is_block(path, value):
        yield f"{dash}{inline(value, flow=False)}"
        return
    for key, inner in value.items():
        for line in entry_lines((*path, key), inner, indent + 2):
            yield dash + line[indent + 2 :] if dash else line
            dash = ""


def is_block(path: Path, value: Any) -> bool:
    """Whether a value stands on lines of its own: sections, steps, branches, and lists of more than names."""
    if not value or not isinstance(value, dict | list):
        return False
    if path[0] != "flow" or len(path) == 1:
        return len(path) == 1 and path[0] in _SECTIONS
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    last, above = path[-1], path[-2]
    if (last, above) == ("branches", "parallel"):
        return any(is_block((*path, name), steps) for name, steps in value.items())
    return isinstance(last, int) or (isinstance(above, int) and last in _BODIES)


def inline(value: Any, *, flow: bool = True) -> str:
    """A value on one line; with `flow` it may stand inside of brackets and braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inline(key)}: {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, str):
        return value if _is_plain(value, flow) else _quoted(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, date):  # datetimes are dates too
        return value.isoformat()
    return json.dumps(value)


def _is_plain(text: str, flow: bool) -> bool:
    if isinstance(text, Quoted) or not text.isprintable() or text.lower() in _WORDS:
        return False
    return bool((_FLOW if flow else _BLOCK).fullmatch(text))


def _quoted(text: str) -> str:
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return "".join(char if char.isprintable() else _escape(char) for char in json.dumps(text, ensure_ascii=False))


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    digits, mark, power = repr(value).partition("e")
    # older readers take a number without a point for text
    return digits + ("" if "." in digits else ".0") + mark + power
