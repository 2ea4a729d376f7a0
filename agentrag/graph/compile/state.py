"""The state of a flow that LangGraph runs step by step: channels that can be emptied again, and what only our steps see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from langgraph.channels import LastValue

from agentrag.core.channels import State
from agentrag.core.types import Usage
from agentrag.graph.flow.repeat import Round

RUN = "run.id"
NOW = "run.now"
"""Private keys have a point in their names, which no channel has."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Written to a channel, it takes the value away."""


ABSENT = Absent()


class Slot(LastValue[Any]):
    """A state key that a write of `ABSENT` empties: it is then in no state and no checkpoint, as if never written."""

    @property
    def UpdateType(self) -> Any:  # noqa: N802  # LangGraph's name; from it follows what checkpoints may hold
        """What may be written."""
        return Union[self.typ, Absent]  # noqa: UP007  # a type may be one that has no `|`

    def update(self, values: Sequence[Any]) -> bool:
        """Take a write; False where it changes nothing."""
        if not any(isinstance(value, Absent) for value in values):
            return super().update(values)
        had = self.is_available()
        self.value = type(self)(self.typ).value
        return had


@dataclass(frozen=True, slots=True)
class Lap:
    """Where a loop stands.

    Attributes:
        number: The round that runs, from 1.
        rounds: What the loop's measures look at, at the ends of the complete rounds.
        best: The best complete round, with the channels that the loop writes.
        exhausted: The last round is over and the steps after it run.
    """

    number: int = 1
    rounds: Sequence[dict[str, Any]] = ()
    best: Round | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """What nodes cost since LangGraph was invoked; that it is there says that the journal has begun the run."""

    paid: dict[str, Usage] = field(default_factory=dict)
    saved: dict[str, Usage] = field(default_factory=dict)


def channels_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """The channels of a LangGraph state that have a value."""
    return {name: value for name, value in values.items() if "." not in name}


def laps_in(values: Mapping[str, Any]) -> dict[str, Lap]:
    """The loops of a LangGraph state that were entered, by key."""
    return {name: value for name, value in values.items() if isinstance(value, Lap)}


def changes(before: State, after: State) -> dict[str, Any]:
    """The writes that make one state of another."""
    gone: dict[str, Any] = {name: ABSENT for name in before if name not in after}
    return gone | {name: value for name, value in after.items() if name not in before or value is not before[name]}
