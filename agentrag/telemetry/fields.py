"""Events as names and fields, for whoever takes them down without knowing each."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import fields
from functools import cache
from typing import Any, cast

from agentrag.core.events import Event
from agentrag.core.types import Usage

LONGEST = 2000
"""Characters of a text in a field; the rest is cut off."""
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def name_of(event: object) -> str:
    """The name of an event's kind, e.g. "step_failed" of a StepFailed."""
    return _snake(type(event).__name__)


def fields_of(event: Event, redact: Callable[[str], str]) -> dict[str, Any]:
    """The fields of an event that are one value, texts redacted, and what its calls cost."""
    told: dict[str, Any] = {}
    for name in _names(cast("Hashable", type(event))):
        value = getattr(event, name)
        if isinstance(value, Usage):
            told |= cost_of(value, "" if name == "usage" else f"{name}_")
        elif isinstance(value, str):
            told[name] = cut(redact(value))  # in this order: half a secret is not known for one
        elif isinstance(value, bool | int | float):
            told[name] = round(value, 6) if isinstance(value, float) else value
    return told


def cost_of(usage: Usage, prefix: str = "") -> dict[str, Any]:
    """What calls cost, as fields; what is zero is left out."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    told = {"calls": usage.calls, "tokens": tokens, "usd": usage.usd, "seconds": usage.seconds, "reused": usage.reused}
    return {prefix + name: value for name, value in told.items() if value}


def cut(text: str) -> str:
    """The text, or its beginning where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


@cache
def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # a class of events
