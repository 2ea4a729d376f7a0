"""The work that every engine is given: nodes one after the other, in rounds; each awaits something and writes a text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Run = Callable[[], Awaitable[object]]
QUESTION = "Why?"
"""The input of every run. Each node writes it to `answer`; a run returns that."""


@dataclass(frozen=True)
class Work:
    """`nodes` nodes in a loop of `rounds` rounds.

    Attributes:
        body: What each node awaits before it writes.
    """

    nodes: int
    rounds: int
    body: Callable[[], Awaitable[None]]

    @property
    def steps(self) -> int:
        """How many nodes a run executes."""
        return self.nodes * self.rounds


async def nothing() -> None:
    """The body of a node that does nothing."""
