"""How large values are along a flow: what writes, joins and fan-outs make of the sizes of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any, get_args

from agentrag.core.channels import Channel
from agentrag.core.rendering import render
from agentrag.core.sizes import ITEM_BYTES, Size
from agentrag.core.types import Passage
from agentrag.graph.channels import is_list
from agentrag.graph.spec import InputSpec
from agentrag.graph.values.bounds import size_of

Table = Mapping[str, Size]
USUAL_ITEMS = 5
USUAL_INPUT = 80
USUAL_TEXT = 200
USUAL_PASSAGE = 700
USUAL_NUMBER = 5
"""Items of a list and bytes of a value, where a plan knows nothing better."""


def narrow(one: Size, other: Size) -> Size:
    """The bound of what both bound."""
    total = min(one.total, other.total)
    return Size(min(one.items, other.items), min(one.bytes, other.bytes), total)


def widest(one: Size, other: Size) -> Size:
    """The bound of a value that one or the other bounds."""
    return Size(max(one.items, other.items), max(one.bytes, other.bytes), max(one.total, other.total))


def together(one: Size, other: Size) -> Size:
    """The bound of the items of both."""
    return Size(one.items + other.items, max(one.bytes, other.bytes), one.total + other.total)


def either(tables: Iterable[Table]) -> dict[str, Size]:
    """The bounds of the channels after one of several ways."""
    found: dict[str, Size] = {}
    for table in tables:
        for name, size in table.items():
            found[name] = widest(found[name], size) if name in found else size
    return found


def written(channel: Channel, before: Size | None, value: Size) -> Size:
    """The bound of a channel after a write."""
    if channel.merge == "append_new" and before is not None:
        value = together(before, value)
    return narrow(value, size_of(channel))


def join_of(name: str | None, channel: Channel, values: Iterable[Size]) -> Size:
    """The bound of what a join makes of the values of branches. Of a join that is not known here only the channel's holds."""
    bound = size_of(channel)
    rule = _JOINS.get(name or "first")
    if rule is None or (rule is together and not is_list(channel.type)):
        return bound
    value = reduce(rule, values)
    return narrow(Size(value.items, value.bytes) if name == "rrf" else value, bound)  # rrf tears slices of a passage apart


_JOINS: Mapping[str, Callable[[Size, Size], Size]] = {
    "rrf": together,
    "concat": together,
    "vote": widest,
    "first": widest,
    "min": widest,
    "max": widest,
}


def collected(values: Size, items: int, flat: bool) -> Size:
    """The bound of a list of what so many items gave; `flat` where lists become one list."""
    if flat:
        return Size(items * values.items, values.bytes, items * values.total)
    return Size(items, values.total + ITEM_BYTES)


def usual(channel: Channel) -> Size:
    """How large a channel's value usually is, where nothing more is known of it."""
    bound = size_of(channel)
    kind = get_args(channel.type)[0] if is_list(channel.type) and get_args(channel.type) else channel.type
    size = {Passage: USUAL_PASSAGE, int: USUAL_NUMBER, float: USUAL_NUMBER, bool: USUAL_NUMBER}.get(kind, USUAL_TEXT)
    return Size(min(USUAL_ITEMS, bound.items), min(size, bound.bytes))


def usual_input(channel: Channel, declared: InputSpec) -> Size:
    """How large an input usually is: its default, else a question."""
    if not declared.required:
        return measured(declared.default)
    size = usual(channel)
    return Size(size.items, min(USUAL_INPUT, size.bytes)) if channel.type is str else size


def most_of_input(channel: Channel, declared: InputSpec) -> Size:
    """The bound of an input."""
    if declared.values is None or declared.type != "str":
        return size_of(channel)
    return narrow(Size(1, max((len(str(value).encode()) for value in declared.values), default=0)), size_of(channel))


def measured(value: Any) -> Size:
    """The size of a value that is known."""
    if value is None:
        return Size(0)
    if isinstance(value, list | tuple):
        return Size(len(value), max((len(render(item).encode()) for item in value), default=0) + ITEM_BYTES)
    return Size(1, len(render(value).encode()))
