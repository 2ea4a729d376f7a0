"""A join: how the values of parallel branches become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentrag import join


@join("longest")
def longest(values: Sequence[list[Any]]) -> list[Any]:
    """The list with most items; of equally long ones that of the first branch."""
    return max(values, key=len)
