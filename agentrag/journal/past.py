"""What is told of runs that are recorded. All of it is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from agentrag.core.ports import RunRecord, RunStatus
from agentrag.core.types import Usage


@dataclass(frozen=True, slots=True)
class PastCall:
    """An outward call of a run.

    Attributes:
        step, ordinal: Where it was made.
        model: Name of the model that answered, as the server reports it; "" for other kinds of calls.
        effect: What it did to the world: "none", "read" or "write".
        at: When it ended, UTC.
        usage: What it cost; only `reused` is set where it was answered from the record.
        saved: What the reused answer had cost when it was made.
        answer: Number of the answer in the file: equal numbers mean one and the same answer.
        seq: Its place among the calls and notes of the run.
    """

    step: str
    ordinal: int
    kind: str
    target: str
    model: str
    effect: str
    at: datetime
    usage: Usage
    saved: Usage
    answer: int
    seq: int

    @property
    def reused(self) -> bool:
        """It was answered from the record, and not made."""
        return self.usage.reused > 0

    @property
    def seconds(self) -> float:
        """Wall time that it took when it was made."""
        return self.usage.seconds + self.saved.seconds


@dataclass(frozen=True)
class PastStep:
    """One attempt of one step.

    Attributes:
        step: Its path; attempts after the first end with "~2", "~3" ...
        outcome: "done" or "failed"; "" where it did not end.
        reason: Why it failed.
        seconds: Wall time of the attempt, over all times that the run was taken up.
        calls: Its outward calls in the order of their ends.
    """

    step: str
    node: str
    attempt: int
    outcome: str
    reason: str
    seconds: float
    calls: tuple[PastCall, ...]

    @cached_property
    def usage(self) -> Usage:
        """What it cost."""
        return total(call.usage for call in self.calls)

    @cached_property
    def saved(self) -> Usage:
        """What its reused answers had cost when they were made."""
        return total(call.saved for call in self.calls)


@dataclass(frozen=True, slots=True)
class PastNote:
    """Something that was noted: the end of a step, a choice, a round, a branch. `body` is JSON data; `seq` as in a call."""

    step: str
    kind: str
    body: Mapping[str, Any]
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run.

    Attributes:
        record: What it was begun with: enough to resume or fork it.
        status: "running" also where the process was killed; `alive` tells the two apart.
        started, ended: UTC; `ended` is None where it did not end.
        seconds: Wall time during which it was worked on, waits between resumes left out.
        outputs: The graph's outputs as JSON; None where there are none.
        error: Why it failed.
        usage: What it cost.
        saved: What its reused answers had cost when they were made.
        alive: A process works on it.
        damage: Why it cannot be read; then it is told as far as it can be, and all else is as in an empty run.
    """

    record: RunRecord
    status: RunStatus
    started: datetime
    ended: datetime | None
    seconds: float
    outputs: bytes | None
    error: str
    usage: Usage
    saved: Usage
    alive: bool = False
    damage: str = ""

    @property
    def waits(self) -> bool:
        """Whether a person may answer what it has asked: it waits, or its process ended while another branch worked."""
        return self.status == "paused" or (self.status == "running" and not self.alive)


@dataclass(frozen=True, slots=True)
class Mean:
    """What a node, or a graph, costs in the mean. `seconds` are those of the calls, concurrent ones added up."""

    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a graph has cost so far.

    Attributes:
        runs: Over how many runs the means are taken.
        nodes: Means by node name.
        total: Means of a whole run.
        wall: Mean wall time of a run in seconds.
    """

    runs: int
    nodes: Mapping[str, Mean]
    total: Mean
    wall: float


def total(usages: Iterable[Usage]) -> Usage:
    """The sum of what calls cost."""
    return sum(usages, Usage())
