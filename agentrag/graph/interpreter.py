"""Runs a graph once: its record, its events, its costs. The steps are in `agentrag.graph.flow`; LangGraph is not known here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json, to_jsonable_python

from agentrag.core.account import Account, Spending
from agentrag.core.calls import new_run_id
from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import PausedError
from agentrag.core.events import (
    Asked,
    AttemptFailed,
    BranchFinished,
    BudgetEnded,
    CallFinished,
    ChoiceMade,
    Degraded,
    Event,
    ItemsCut,
    LoopFinished,
    RoundFinished,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
)
from agentrag.core.ports import Journal, RunRecord
from agentrag.core.types import Usage
from agentrag.graph.accounts import budget_of, end_stretch, open_account
from agentrag.graph.flow.budget import Ladder, Means
from agentrag.graph.flow.frame import Frame
from agentrag.graph.flow.program import Program

__all__ = ["Program", "execute"]


async def execute(
    program: Program, inputs: Mapping[str, Any], deps: Deps, through: tuple[type[BaseException], ...] = ()
) -> dict[str, Any]:
    """Run a graph once and return its outputs. `deps.listen` hears every event, `RunFinished` last.

    Args:
        program: The graph.
        inputs: Its inputs.
        deps: Back ends; `deps.run` is the run's id, a new one where it is empty. An id that the journal knows resumes that
            run: what it finished is answered from the record.
        through: Exceptions that are no failures of a step and leave the run as they are.

    Raises:
        InputError: An input is missing, unknown or of the wrong type, or the budget cannot be kept; nothing has run.
        NodeError: A node failed; the cause is chained.
        PausedError: The run waits for a person.
        RunError: Something else failed.
    """
    state = program.entered(inputs)
    recorder = Recorder(deps.journal, deps.run or new_run_id(), deps.listen, through)
    deps = deps.but(run=recorder.run, listen=recorder.listen)
    budget = budget_of(program.spec, deps)
    deps.journal.begin(record_of(program, state, deps))
    account = None if budget is None else open_account(budget, deps)
    recorder.listen(RunStarted(recorder.run, program.spec.name))
    with recorder, _paying(deps, account, recorder):
        outputs, end = await program.outputs_of(state, _frame(program, deps, account, through), "flow")
        recorder.outputs = outputs
    recorder.listen(recorder.finished(end))
    return outputs


def _frame(program: Program, deps: Deps, account: Account | None, through: tuple[type[BaseException], ...]) -> Frame:
    if account is None:
        return Frame(deps, through=through)
    deps = deps.but(account=account)
    return Frame(deps, through=through, means=Means(Ladder(program.prospects, deps, account)))


@contextmanager
def _paying(deps: Deps, account: Account | None, recorder: Recorder) -> Iterator[None]:
    """Keep what was spent, however the run ends."""
    try:
        yield
    finally:
        if account is not None:
            recorder.budget = end_stretch(deps, account)


def record_of(program: Program, state: State, deps: Deps) -> RunRecord:
    """What the journal keeps of a run that begins with `state`."""
    origin, manifest = deps.origin, program.manifest
    return RunRecord(
        deps.run,
        program.spec.name,
        ref=origin.ref,
        tenant=deps.tenant,
        inputs=to_jsonable_python(state),
        parts=manifest.parts,
        sources=manifest.sources,
        options=origin.options,
        parent=origin.parent,
        cut=origin.cut,
    )


@dataclass
class Recorder:
    """Hears the events of a run: adds up costs by node, writes notes, passes them on. As a context it records the end.

    Attributes:
        through: Exceptions that are no failures: with them the run waits to go on.
        outputs: What it gave, once it has.
        limited, degraded: What a budget ended, and what was made cheaper for it.
        budget: What was spent of the budget, once the run has ended.
    """

    journal: Journal
    run: str
    tell: Callable[[Event], None]
    through: tuple[type[BaseException], ...] = ()
    paid: dict[str, Usage] = field(default_factory=dict)
    saved: dict[str, Usage] = field(default_factory=dict)
    outputs: Mapping[str, Any] | None = None
    limited: list[BudgetEnded] = field(default_factory=list)
    degraded: list[Degraded] = field(default_factory=list)
    budget: Spending | None = None

    def finished(self, end: State) -> RunFinished:
        """What is told at the end of a run that ended well."""
        told = (self.run, dict(self.outputs or {}), dict(end), self.paid, self.saved)
        return RunFinished(*told, tuple(self.limited), tuple(self.degraded), self.budget)

    def listen(self, event: Event) -> None:
        if isinstance(event, CallFinished):
            self.paid[event.node] = self.paid.get(event.node, Usage()) + event.usage
            self.saved[event.node] = self.saved.get(event.node, Usage()) + event.saved
        elif (noted := _NOTED.get(type(event))) is not None:
            kind, body = noted
            self.journal.note(self.run, event.step, kind, body(event))  # type: ignore[union-attr]  # every noted event has a step
            if isinstance(event, BudgetEnded):
                self.limited.append(event)
            elif isinstance(event, Degraded):
                self.degraded.append(event)
        self.tell(event)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            why = "; ".join(f"best effort: {ended.reason}" for ended in self.limited[-1:])
            self.journal.end(self.run, "finished", to_json(self.outputs), why)
        elif isinstance(error, (PausedError, *self.through)):
            self.journal.end(self.run, "paused", error=str(error))
        elif isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
            self.journal.end(self.run, "cancelled")
        else:
            self.journal.end(self.run, "failed", error=" ".join(str(error).split()))


def _step(event: StepFinished) -> dict[str, Any]:
    return {"node": event.node, "seconds": event.seconds, "outcome": "done"}


def _attempt(event: AttemptFailed) -> dict[str, Any]:
    return {"node": event.node, "attempt": event.attempt, "outcome": "failed", "reason": event.reason}


def _rest(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__slots__ if name != "step"}


_NOTED: Mapping[type, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    StepFinished: ("step", _step),
    StepFailed: ("step", lambda event: _rest(event) | {"outcome": "failed"}),
    AttemptFailed: ("step", _attempt),
    ChoiceMade: ("choice", lambda event: {"branch": event.branch}),
    RoundFinished: ("round", _rest),
    LoopFinished: ("loop", _rest),
    BranchFinished: ("branch", _rest),
    ItemsCut: ("cut", _rest),
    Degraded: ("degrade", _rest),
    BudgetEnded: ("budget", _rest),
    Asked: ("asked", _rest),
}
"""The events that the journal keeps, each with the kind and the body of its note."""
