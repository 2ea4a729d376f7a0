"""How large values of channels can get: what a run enforces at every write, and what a plan may therefore count on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from agentrag.core.channels import MOST_ITEMS, OBJECT, Channel
from agentrag.core.errors import RunError
from agentrag.core.rendering import render
from agentrag.core.sizes import ITEM_BYTES, LABEL_BYTES, Size
from agentrag.core.types import Message, Passage
from agentrag.graph.channels import is_list

RETRY_WAIT = 30.0
"""Seconds, at most, between two attempts of a node."""
_SCALARS = {bool: len("False"), float: 25, int: 4301}  # Python itself refuses to write a number of more than 4300 digits
_ENFORCED = (str, Message, Passage, OBJECT, *_SCALARS)


def merge(channel: Channel, old: Any, new: Any) -> Any:
    """The value of a channel after a write. For "append_new", passages are the same when they are the same slice.

    >>> merge(Channel(list[str], merge="append_new", max=3), ["a", "b"], ["b", "c", "d"])
    ['a', 'b', 'c']
    """
    if channel.merge == "append_new":
        new = without_repeats([*(old or ()), *new])
    return bounded(channel, new)


def without_repeats(items: Iterable[Any]) -> list[Any]:
    """The items in their order, of equal ones the first. Passages are equal when they are the same slice of a document."""
    kept: list[Any] = []
    seen: set[Any] = set()
    odd: list[Any] = []  # what has no hash
    for item in items:
        key = item.slice if isinstance(item, Passage) else item
        try:
            known = key in seen
            seen.add(key)
        except TypeError:
            known = key in odd
            odd.append(key)
        if not known:
            kept.append(item)
    return kept


def bounded(channel: Channel, value: Any) -> Any:
    """The value within the channel's bounds, itself where nothing has to be cut.

    Of a conversation the latest turns are kept, of other lists the first items. Texts are cut between two characters; of a
    passage the title and the heading to 512 bytes each (a quarter of the bound where that is less), then the text, which
    stays the slice of its source that `start` and `end` say. Cost: about 0.2 us, and 0.1 us for each item of a list.

    Raises:
        RunError: An object is too large; it cannot be cut.
    """
    if isinstance(value, str):
        return _cut(value, channel.bytes)
    if isinstance(value, dict) and channel.type == OBJECT:
        _refuse_large([value], channel.bytes)
    if not isinstance(value, list | tuple) or not value:
        return _shortened(value, channel.bytes)
    if isinstance(value[0], dict) and get_args(channel.type) == (OBJECT,):
        _refuse_large(value, channel.bytes)
    most = MOST_ITEMS if channel.max is None else channel.max
    if len(value) > most:
        value = value[-most:] if isinstance(value[0], Message) else value[:most]
    if all(_is_short(item, channel.bytes) for item in value):
        return value
    return [_shortened(item, channel.bytes) for item in value]


def _refuse_large(objects: Iterable[Any], most: int) -> None:
    for size in (len(render(each).encode()) for each in objects):
        if size > most:
            raise RunError(f"an object has {size:,} bytes as JSON; at most {most:,} are allowed (`bytes` of the channel)")


def _is_short(item: Any, most: int) -> bool:
    """Whether an item is surely within its bound: no character has more than four bytes."""
    if isinstance(item, Passage):
        label = 4 * max(len(item.title), len(item.heading))
        return label <= _label(most) and 4 * (len(item.title) + len(item.heading) + len(item.text)) <= most
    if isinstance(item, Message):
        item = item.content
    return not isinstance(item, str) or 4 * len(item) <= most


def _shortened(item: Any, most: int) -> Any:
    if isinstance(item, str):
        return _cut(item, most)
    if isinstance(item, Message):
        content = _cut(item.content, most)
        return item if content is item.content else replace(item, content=content)
    return _short_passage(item, most) if isinstance(item, Passage) else item


def _short_passage(passage: Passage, most: int) -> Passage:
    title, heading = (_cut(label, _label(most)) for label in (passage.title, passage.heading))
    text = _cut(passage.text, most - _bytes(title) - _bytes(heading))
    if (title, heading, text) == (passage.title, passage.heading, passage.text):
        return passage
    end = passage.end if text is passage.text else passage.start + len(text)
    return replace(passage, title=title, heading=heading, text=text, end=end)


def _label(most: int) -> int:
    return min(LABEL_BYTES // 2, most // 4)


def _cut(text: str, most: int) -> str:
    """The text, or the longest beginning of it that has at most so many UTF-8 bytes."""
    if 4 * len(text) <= most:
        return text
    encoded = text[: most + 1].encode("utf-8", "surrogatepass")  # every character has a byte, so that more is never kept
    if len(encoded) <= most:
        return text
    while encoded[most] & 0xC0 == 0x80:  # inside a character
        most -= 1
    return encoded[:most].decode("utf-8", "surrogatepass")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def size_of(channel: Channel) -> Size:
    """The bound of a channel's value, from its declaration."""
    if not is_list(channel.type):
        added = ITEM_BYTES if channel.type in (Message, Passage) else 0
        return Size(1, added + _SCALARS.get(channel.type, channel.bytes))
    inner = get_args(channel.type)
    most = MOST_ITEMS if channel.max is None else channel.max
    return Size(most, ITEM_BYTES + _SCALARS.get(inner[0] if inner else Any, channel.bytes))


def is_enforced(channel: Channel) -> bool:
    """Whether the run keeps the channel's value within `size_of`: values of types of one's own have no known length."""
    inner = get_args(channel.type)
    return (inner[0] if is_list(channel.type) and inner else channel.type) in _ENFORCED
