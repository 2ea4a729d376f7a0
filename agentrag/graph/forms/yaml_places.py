"""Changes to the text of a graph file at the places that differ, so that all else keeps its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from agentrag.graph.forms.yaml_lines import Path, entry_lines, inline, is_block, item_lines

_ABSENT = object()


@dataclass(frozen=True)
class Edit:
    """Characters start..end of the text make way for `text`."""

    start: int
    end: int
    text: str


def changed(text: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """The text of a file with what `after` says, where that differs from `before`, which the text says now.

    Text that says nothing but defaults stays where nothing changes it. Comments stay, but for those inside of what goes.
    """
    from ruamel.yaml import YAML  # lazy: ruamel costs 50 ms of start-up

    root = YAML(typ="safe", pure=True).compose(text)
    edits = sorted(_Editor(text).value(_Site((), 0), before, after, root), key=lambda edit: (edit.start, edit.end))
    for edit in reversed(edits):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@dataclass(frozen=True)
class _Site:
    """Where a value stands: its path, the column of the block that it is an entry of, and whether it is inside of brackets."""

    path: Path
    column: int
    flow: bool = False

    def inner(self, part: str | int, node: Any) -> _Site:
        """The site of a part of the value that `node` is."""
        return _Site((*self.path, part), node.start_mark.column, self.flow or bool(node.flow_style))


@dataclass(frozen=True)
class _Editor:
    text: str

    def value(self, site: _Site, old: Any, new: Any, node: Any) -> Iterator[Edit]:
        """The edits that make the value at `site`, which `node` is in the text, from `old` to `new`."""
        if old is not _ABSENT and inline(old) == inline(new):
            return
        if _both(dict, old, new) and old.keys() & new.keys() and node.id == "mapping":
            yield from self._mapping(site, old, new, node)
        elif _both(list, old, new) and node.id == "sequence" and (len(old) == len(new) or not node.flow_style):
            yield from self._sequence(site, old, new, node)
        else:
            yield self._replaced(site, new, node)

    def _mapping(self, site: _Site, old: dict[str, Any], new: dict[str, Any], node: Any) -> Iterator[Edit]:
        entries = {key.value: (key, value) for key, value in node.value}
        gone = [str(name) in old and str(name) not in new for name in entries]
        if all(gone):
            yield self._replaced(site, new, node)
            return
        yield from self._without(list(entries.values()), gone, node)
        first = next(key for (key, _), out in zip(entries.values(), gone, strict=True) if not out)
        last: Any = None
        for name, value in new.items():
            inner = site.inner(name, node)
            if str(name) in entries:
                last = entries[str(name)][1]
                yield from self.value(inner, old.get(name, _ABSENT), value, last)
            else:
                yield self._entry(inner, value, first, last)

    def _without(self, entries: list[tuple[Any, Any]], gone: list[bool], node: Any) -> Iterator[Edit]:
        """Take entries out of a mapping, at least one of which stays."""
        for out, group in groupby(range(len(entries)), key=gone.__getitem__):
            run = list(group)
            start, end = _start(entries[run[0]][0]), self._end(entries[run[-1]][1])
            if not out:
                continue
            if node.flow_style or (run[0] == 0 and not self._begins_line(start)):
                to_next = run[-1] + 1 < len(entries)
                before = self._end(entries[run[0] - 1][1])
                yield Edit(start, _start(entries[run[-1] + 1][0]), "") if to_next else Edit(before, end, "")
            else:
                yield from (self._lines_out(_start(entries[index][0]), self._end(entries[index][1])) for index in run)

    def _entry(self, site: _Site, value: Any, first: Any, last: Any) -> Edit:
        """Put an entry behind the value `last`, or before the key `first` where there is none."""
        if site.flow:
            said = f"{inline(site.path[-1])}: {inline(value)}"
            return _insert(_start(first), f"{said}, ") if last is None else _insert(self._end(last), f", {said}")
        return self._line_in(list(entry_lines(site.path, value, site.column)), site.column, first, last)

    def _sequence(self, site: _Site, old: list[Any], new: list[Any], node: Any) -> Iterator[Edit]:
        if not old or not new:
            yield self._replaced(site, new, node)
            return
        head = _alike(old, new)
        tail = min(_alike(old[::-1], new[::-1]), len(old) - head, len(new) - head)
        pairs = min(len(old), len(new)) - head - tail
        for index in range(head, head + pairs):
            yield from self.value(site.inner(index, node), old[index], new[index], node.value[index])
        stop = head + pairs
        for index in range(stop, len(old) - tail):
            yield self._lines_out(self._dash(node, index), self._end(node.value[index]))
        for index in range(stop, len(new) - tail):
            lines = list(item_lines((*site.path, index), new[index], node.start_mark.column))
            yield self._line_in(lines, node.start_mark.column, node, node.value[stop - 1] if stop else None)

    def _replaced(self, site: _Site, new: Any, node: Any) -> Edit:
        start, end = _start(node), self._end(node)
        block = node.id != "scalar" and not node.flow_style
        is_item = isinstance(site.path[-1], int)
        if not site.flow and is_block(site.path, new):
            if is_item:
                column = node.start_mark.column
                return Edit(start, end, self._joined(list(item_lines(site.path, new, column - 2)))[column:])
            lines = list(entry_lines(site.path, new, site.column))[1:]
            if block:
                return Edit(self._line_start(start), end, self._joined(lines))
            return Edit(len(self.text[:start].rstrip(" ")), end, self._joined(["", *lines]))
        said = inline(new, flow=site.flow)
        if is_item or not block:
            return Edit(start, end, said if self.text[start - 1] != ":" else f" {said}")
        key_end = len(self.text[:start].rstrip())
        if self.text[key_end - 1] == ":":
            return Edit(key_end, end, f" {said}")
        return Edit(start, end, f"  {said}")  # behind a comment, and deeper than its key

    def _line_in(self, lines: list[str], column: int, first: Any, last: Any) -> Edit:
        """Put lines behind those of `last`, or before `first` where there is none."""
        if last is None:
            return _insert(_start(first), self._joined([*lines, " " * column])[column:])
        return _insert(self._line_end(self._end(last)), self._joined(["", *lines]))

    def _lines_out(self, start: int, end: int) -> Edit:
        stop = self.text.find("\n", end)
        return Edit(self._line_start(start), len(self.text) if stop < 0 else stop + 1, "")

    def _dash(self, node: Any, index: int) -> int:
        """Where the dash of an item stands; the item may begin on a later line."""
        if index == 0:
            return _start(node)
        dash = re.compile(f"^ {{{node.start_mark.column}}}-", re.MULTILINE)
        found = dash.search(self.text, self._end(node.value[index - 1]), _start(node.value[index]))
        return found.end() - 1 if found else _start(node.value[index])

    def _joined(self, lines: list[str]) -> str:
        return ("\r\n" if "\r\n" in self.text else "\n").join(lines)

    def _line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def _begins_line(self, index: int) -> bool:
        return not self.text[self._line_start(index) : index].strip()

    def _line_end(self, index: int) -> int:
        stop = self.text.find("\n", index)
        return len(self.text) if stop < 0 else stop - (self.text[stop - 1] == "\r")

    def _end(self, node: Any) -> int:
        """Where the last character of a value ends; the parser counts what follows a block as part of it."""
        if node.id != "scalar" and not node.flow_style:
            return self._end(node.value[-1][1] if node.id == "mapping" else node.value[-1])
        end: int = node.end_mark.index
        return max(_start(node), len(self.text[:end].rstrip())) if getattr(node, "style", None) in ("|", ">") else end


def _start(node: Any) -> int:
    return int(node.start_mark.index)


def _insert(index: int, text: str) -> Edit:
    return Edit(index, index, text)


def _both(kind: type, old: Any, new: Any) -> bool:
    return isinstance(old, kind) and isinstance(new, kind)


def _alike(old: list[Any], new: list[Any]) -> int:
    """How many first items are the same."""
    count = 0
    for before, after in zip(old, new, strict=False):
        if inline(before) != inline(after):
            break
        count += 1
    return count
