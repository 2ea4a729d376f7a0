"""A measure: what `until` and `when` of a loop may call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentrag import measure


@measure("grown")
def grown(current: list[Any], previous: Sequence[list[Any]]) -> float:
    """By which part of its length the list is longer than at the end of the round before, 0..1; 1.0 in round 1."""
    if not previous:
        return 1.0
    return max(0.0, 1.0 - len(previous[-1]) / len(current)) if current else 0.0
