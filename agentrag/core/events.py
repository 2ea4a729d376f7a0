"""What a run tells while it runs. Everything that watches a run (terminal, ledger, page) sees these and only these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentrag.core.account import Spending
from agentrag.core.types import Usage


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began."""

    run: str
    graph: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A node is about to run. `step` is its path in the flow, `node` its name."""

    step: str
    node: str


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of streamed text, meant for `channel`. It is a draft: the channel's final value may differ."""

    step: str
    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class CallFinished:
    """An outward call ended well. `usage` is what it cost now; `saved` what it cost when it was made, where it was reused."""

    step: str
    node: str
    kind: str
    target: str
    usage: Usage
    saved: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class ChoiceMade:
    """A `choose` took the branch with this label: the text of its condition, or "otherwise"."""

    step: str
    branch: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A node ended. `wrote` maps each channel it wrote to the value."""

    step: str
    node: str
    wrote: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended well.

    Attributes:
        outputs: The graph's outputs by channel.
        state: All channels.
        usage: What each node cost now.
        saved: What reused calls of each node had cost when they were made.
        limited: Why the outputs are a best effort: where a budget ended something; empty where none did.
        degraded: What was made cheaper to keep to a budget, in order.
        budget: What was spent of the run's budget; None where it had none.
    """

    run: str
    outputs: dict[str, Any]
    state: dict[str, Any]
    usage: dict[str, Usage]
    saved: dict[str, Usage]
    limited: tuple[BudgetEnded, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    budget: Spending | None = None


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt of a node failed and another one follows. `attempt` counts from 1."""

    step: str
    node: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A node failed and no other attempt follows."""

    step: str
    node: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """A round of a loop ended. `until` is what its condition said, None where the loop has none; `number` counts from 1."""

    step: str
    number: int
    until: bool | None
    measures: dict[str, float | bool] = field(default_factory=dict)
    best_by: float | None = None


@dataclass(frozen=True, slots=True)
class LoopFinished:
    """A loop ended after `rounds` complete rounds; `kept` is the round whose channels stay.

    `why` is "until", "exhausted", "finish" (a rung of `degrade` ends loops) or "budget" (no further round can be paid).
    """

    step: str
    rounds: int
    why: str
    kept: int


@dataclass(frozen=True, slots=True)
class BranchFinished:
    """A branch of a `parallel` or an item of an `each` ended: "done", "failed", "cancelled", or "waits" (for a person)."""

    step: str
    branch: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ItemsCut:
    """An `each` got more items than its `at_most`; those beyond were left out."""

    step: str
    given: int
    kept: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A run waits for a person at this step, which is the id of the pause; see `agentrag.core.errors.Question`."""

    step: str
    question: str
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Degraded:
    """A rung of `degrade` was taken, for the rest of its graph.

    Attributes:
        step: Before which step.
        graph: The graph whose rung it is.
        rung: What it says, e.g. "set search.k: 3".
        reason: What would have been lacking.
    """

    step: str
    graph: str
    rung: str
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetEnded:
    """A budget ended a loop or a graph, or left out a branch; what there was then is a best effort.

    Attributes:
        step: The loop, the graph or the branch.
        unit: What lacked.
        reason: In words.
    """

    step: str
    unit: str
    reason: str


Event = (
    RunStarted
    | StepStarted
    | Token
    | CallFinished
    | ChoiceMade
    | AttemptFailed
    | RoundFinished
    | LoopFinished
    | BranchFinished
    | ItemsCut
    | StepFinished
    | StepFailed
    | Asked
    | Degraded
    | BudgetEnded
    | RunFinished
)
