"""What an output is that a run did not come to."""

from __future__ import annotations

from typing import Any

from agentrag.core.channels import Channel
from agentrag.graph.channels import is_list

_SAID = {"abstained": True}
"""Standard channels whose empty value would say what is not so."""
_EMPTY: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False}


def blank(name: str, channel: Channel) -> Any:
    """The value that says nothing: an empty text or list, 0, false; None of other types. `abstained` is true.

    >>> blank("answer", Channel(str)), blank("abstained", Channel(bool)), blank("notes", Channel(list[str]))
    ('', True, [])
    """
    return _SAID.get(name, [] if is_list(channel.type) else _EMPTY.get(channel.type))
