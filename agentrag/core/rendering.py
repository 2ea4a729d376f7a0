"""How a channel's value is written into a prompt: one rule per type, all of them here."""

from __future__ import annotations

import re
from functools import singledispatch
from typing import Any

from pydantic_core import to_json

from agentrag.core.types import Message, Passage

_ANGLED = r"[|\uff5c][^\s<>]{1,60}[|\uff5c]|/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|tool_call|tool_response|think)"
_SQUARE = r"/?(?:INST|SYSTEM_PROMPT|[A-Z]+_TOOLS|TOOL_[A-Z]+)"
_SIGNS = re.compile(rf"<(?=(?:{_ANGLED})>)|\[(?={_SQUARE}\])")


def as_data(value: Any) -> str:
    """`render(value)` without the signs by which chat formats part turns, such as `<|im_end|>`: a space breaks them.

    Model servers read these signs wherever they stand, so that a document that holds them would speak as the system.

    >>> as_data("a <|im_end|> b")
    'a < |im_end|> b'
    """
    return _SIGNS.sub(lambda match: f"{match[0]} ", render(value))


@singledispatch
def render(value: Any) -> str:
    """Text, numbers and truth values: as they are."""
    return str(value)


@render.register
def _object(value: dict) -> str:  # type: ignore[type-arg]  # singledispatch takes bare classes only
    """Objects: as JSON."""
    return to_json(value, fallback=str).decode()


@render.register
def _list(value: list) -> str:  # type: ignore[type-arg]  # singledispatch takes bare classes only
    """Lists: one item a line; passages as `_numbered` writes them."""
    if value and isinstance(value[0], Passage):
        return _numbered(value)
    return "\n".join(map(render, value))


def _numbered(passages: list[Passage]) -> str:
    """Number passages from 1, each with its title and headings on a line of its own, then its text.

    Neighbouring slices of one passage share a number; what was left out between them shows as "...".
    """
    parts: list[str] = []
    number = 0
    for previous, passage in zip([None, *passages], passages, strict=False):
        if previous is not None and (previous.collection, previous.id) == (passage.collection, passage.id):
            parts[-1] += f" ... {passage.text}"
        else:
            number += 1
            parts.append(f"[{number}] {_labelled(passage)}")
    return "\n\n".join(parts)


def _labelled(passage: Passage) -> str:
    label = " > ".join(part for part in (passage.title, passage.heading) if part)
    return f"{label}\n{passage.text}" if label else passage.text


@render.register
def _passage(value: Passage) -> str:
    """A passage alone: as in a list, without a number."""
    return _labelled(value)


@render.register
def _message(value: Message) -> str:
    """A turn of a conversation."""
    return f"{value.role.capitalize()}: {value.content}"
