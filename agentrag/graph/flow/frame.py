"""What the steps of a run share, and what a step is to the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Listed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from agentrag.core.account import Hold
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import BudgetError
from agentrag.core.metering import keep_refused
from agentrag.graph.flow.budget import Ladder, Means, Needs
from agentrag.graph.recorded.edits import Edits

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
        means: What the step has to keep to a budget with; None where nothing is counted.
        wrote: Collects the channels that steps of a branch write; None outside of branches.
        edits: Values that channels take before some step; None where there are none.
    """

    deps: Deps
    rounds: Rounds = ()
    prefix: str = ""
    through: tuple[type[BaseException], ...] = ()
    wrote: set[str] | None = None
    means: Means | None = None
    edits: Edits | None = None

    def note(self, written: Iterable[str]) -> None:
        """Note that channels were written."""
        if self.wrote is not None:
            self.wrote.update(written)

    def within(self, rounds: Rounds) -> Frame:
        """The same, in a round of a loop."""
        return replace(self, rounds=rounds)


@dataclass
class Parts:
    """The parts of a fan-out, where a budget is kept.

    Attributes:
        holds: What is set aside for each, by name.
        ladders: Theirs, by name.
        done: Names of those that ended well; what the others took of the ladder is forgotten with them.
    """

    frame: Frame
    holds: Mapping[str, Hold] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    done: Iterable[str] = ()

    def job(self, name: str, run: Callable[[Frame], Awaitable[State]]) -> Callable[[], Awaitable[State]]:
        """A part made ready to run in its frame; what it leaves of what was set aside for it is for the others."""
        means, frame = self.frame.means, self.frame
        if means is None:
            return partial(run, frame)
        branch, hold = means.branch(), self.holds[name]
        self.ladders[name] = branch.ladder
        inside = replace(frame, deps=frame.deps.but(hold=hold), means=branch)

        async def paid() -> State:
            try:
                return await run(inside)
            finally:
                means.ladder.account.release(hold, frame.deps.hold)

        return paid


@contextmanager
def parted(frame: Frame, names: Listed[str], needs: Needs, where: str, *, wanted: bool) -> Iterator[Parts]:
    """Set aside what the parts of a fan-out need, as far as it is there, and go on with what they took of the ladder.

    Raises:
        BudgetError: All parts are `wanted`, and some of them could not be paid; nothing was sent.
    """
    means = frame.means
    if means is None:
        yield Parts(frame)
        return
    with means.shared(frame.deps, needs, where, wanted=wanted) as holds:
        parts = Parts(frame, dict(zip(names, holds, strict=True)))
        try:
            yield parts
        except BudgetError as error:
            error.state = None  # of a part; the flow around the fan-out knows the state outside
            keep_refused(frame.deps.journal, frame.deps.run, where, error)  # other parts were cut short
            raise
    means.ladder.joined(parts.ladders[name] for name in parts.done)


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
        steps = self if frame.edits is None else Sequence(frame.edits.among(self.ops, where))
        if frame.means is not None:
            return await steps._paid(state, frame, frame.means, where)
        for index, op in enumerate(steps.ops):
            state = await op.run(state, frame, f"{where}.{index}")
        return state

    async def _paid(self, state: State, frame: Frame, means: Means, where: str) -> State:
        """The same, each step knowing what follows it. Where a budget ends it, the error has the state before that step."""
        for index, op in enumerate(self.ops):
            inside = replace(frame, means=means.before(where, index + 1, len(self.ops)))
            try:
                state = await op.run(state, inside, f"{where}.{index}")
            except BudgetError as error:
                error.state = state if error.state is None else error.state
                raise
        return state
