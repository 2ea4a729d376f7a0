"""What the parts of a graph file have in common: their form, and what names may be."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

_BOOLEANS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})


def channel_name(name: str) -> str:
    """The name, where a channel can have it.

    Raises:
        ValueError: It cannot.
    """
    if not re.fullmatch("(?!__)[a-z_][a-z0-9_]*", name):
        raise ValueError("a channel is named by lower-case letters, digits and '_', no two '_' first")
    return _unmistakable(name)


def _label(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_-]*", name):
        raise ValueError("a name begins with a lower-case letter; letters, digits, '-' and '_' follow")
    return _unmistakable(name)


def _unmistakable(name: str) -> str:
    if name in _BOOLEANS:
        raise ValueError("YAML tools read this word as a truth value; take another name")
    return name


ChannelName = Annotated[str, AfterValidator(channel_name)]
Label = Annotated[str, AfterValidator(_label)]
OnError = Literal["fail", "collect"]
Place = tuple[str | int, ...]
"""Where something stands in a file, as keys and indices."""


class Part(BaseModel):
    """A part of a graph file: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)
