"""How a channel's value is written into a prompt: one rule per type, all of them here."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from agentrag.core.types import Message, Passage


@singledispatch
def render(value: Any) -> str:
    """Text, numbers and truth values: as they are."""
    return str(value)


@render.register
def _list(value: list) -> str:  # type: ignore[type-arg]  # singledispatch takes bare classes only
    """Lists: one item a paragraph; passages are numbered from 1 so that an answer can point at them."""
    if value and isinstance(value[0], Passage):
        return "\n\n".join(f"[{n}] {render(passage)}" for n, passage in enumerate(value, start=1))
    return "\n".join(map(render, value))


@render.register
def _passage(value: Passage) -> str:
    """A passage: title and heading on one line where there are any, then its text."""
    label = " > ".join(part for part in (value.title, value.heading) if part)
    return f"({label}) {value.text}" if label else value.text


@render.register
def _message(value: Message) -> str:
    """A turn of a conversation."""
    return f"{value.role}: {value.content}"
