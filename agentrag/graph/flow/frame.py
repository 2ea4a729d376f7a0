"""What the steps of a run share, and what a step is to the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agentrag.core.channels import State
from agentrag.core.deps import Deps

Rounds = tuple[State, ...]
"""States at the ends of the rounds of a loop that are complete, oldest first."""


class Returned(Exception):  # noqa: N818  # no error: it carries the outputs of a `return` out of the steps around it
    """A `return` was reached."""

    def __init__(self, outputs: Mapping[str, Any], state: State) -> None:
        self.outputs, self.state = outputs, state
        super().__init__()


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in a run a step runs.

    Attributes:
        deps: The run's back ends, its journal and its listener.
        rounds: Of the innermost loop around the step.
        prefix: Put before names of nodes: the names of the graphs around this one, "" in the outermost.
        through: Exceptions that are no failures: they leave the run as they are.
        wrote: Collects the channels that steps of a branch write; None outside of branches.
    """

    deps: Deps
    rounds: Rounds = ()
    prefix: str = ""
    through: tuple[type[BaseException], ...] = ()
    wrote: set[str] | None = None

    def note(self, written: Iterable[str]) -> None:
        """Note that channels were written."""
        if self.wrote is not None:
            self.wrote.update(written)

    def within(self, rounds: Rounds) -> Frame:
        """The same, in a round of a loop."""
        return replace(self, rounds=rounds)


class Op(Protocol):
    """A step made ready to run."""

    async def run(self, state: State, frame: Frame, where: str) -> State:
        """The state after the step. `where` is its path in the run.

        Raises:
            Returned: A `return` ended the graph.
            RunError: The step failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps that run one after the other."""

    ops: tuple[Op, ...]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        for index, op in enumerate(self.ops):
            state = await op.run(state, frame, f"{where}.{index}")
        return state
