"""Every error that agentrag raises on purpose.

AgentRagError
├── SpecError               a graph, prompt or settings file is wrong; found before anything runs (.problems)
│   └── UnknownNameError    a name in it is not registered
├── SettingsError           agentrag.yaml or an AGENTRAG_* variable is wrong
├── CatalogueError          a model file cannot be had
│   ├── NotPulledError      the model is not on this machine; the message says which command pulls it
│   └── ChecksumError       the file is there, its sha256 is not the catalogue's
├── DocumentError           one source document cannot be read (.source, .reason); ingestion skips and reports it
├── StoreError              a collection cannot serve
│   ├── UnknownCollectionError
│   ├── CollectionBusyError     another process writes it (.pid)
│   ├── CollectionDamagedError  an index does not hold what was stored; `collections rebuild` restores it
│   └── RunBusyError            another process works on the run (.run, .pid)
├── DataSetError            an evaluation data set is malformed
├── TenantError             a text cannot be the name of a tenant (agentrag.core.tenant)
└── RunError                a run failed
    ├── BudgetError         a budget has too little left for a call (.unit, .limit, .scope, .step)
    ├── InputError          an input of the run is missing, unknown or of the wrong type; nothing has run
    ├── NodeError           a node failed (.node, .step); the cause is chained
    ├── BranchError         branches of a fan-out failed (.failed, .gave, .cancelled); the first cause is chained
    ├── ExhaustedError      a loop with `on_exhausted: fail` came to its last round (.step, .rounds)
    ├── PausedError         the run waits for a person (.run, .questions by step); resume it with the answers
    ├── InDoubtError        a write was begun and its result is not known (.step, .target, .idempotency_key)
    ├── RecordingError      nothing is recorded for what a node would use again, or the run asks no query of a data set
    ├── ReplayError         a replay met a call that its journal has no answer for (.step)
    ├── ChangedError        the graph differs from the one that the run began with (.problems); fork it instead
    └── ModelError          a model call failed (.retryable, .retry_after in seconds)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrag.core.types import Usage


class AgentRagError(Exception):
    """Base of all errors of this library; its text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what, and what would be right.

    `line` and `column` count from 1; 0 means that the place is unknown.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place} {self.path}: {self.message}" if self.path else f"{place} {self.message}"


class SpecError(AgentRagError):
    """A file is wrong. `problems` lists all that is wrong in it, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
        super().__init__("\n".join(map(str, self.problems)))


class UnknownNameError(SpecError, KeyError):
    """A name is not registered; the message gives the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__([Problem("", 0, 0, "", unknown(kind, name, self.known))])

    def __str__(self) -> str:
        return unknown(self.kind, self.name, self.known)


class SettingsError(AgentRagError):
    """agentrag.yaml or an environment variable is wrong."""


class CatalogueError(AgentRagError):
    """A model file cannot be had."""


class NotPulledError(CatalogueError):
    """The model is known but not on this machine."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"Model '{model}' is not on this machine. Get it with: agentrag models pull {model}")


class ChecksumError(CatalogueError):
    """A model file does not have the sha256 that the catalogue states."""


class DocumentError(AgentRagError):
    """One document cannot be read; the others are not affected."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"{source}: {reason}")


class StoreError(AgentRagError):
    """A collection cannot serve."""


class UnknownCollectionError(StoreError):
    """No collection has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        hint = f" Make it with: agentrag ingest PATH --collection {name}"
        super().__init__(unknown("collection", name, known) + hint)


class CollectionBusyError(StoreError):
    """Another process writes this collection."""

    def __init__(self, name: str, pid: int | None) -> None:
        self.name, self.pid = name, pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"Collection '{name}' is in use by {who}; only one process may write it. Wait for it or end it.")


class CollectionDamagedError(StoreError):
    """An index of the collection does not hold what was stored."""

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        super().__init__(f"Collection '{name}' is damaged: {what}. Restore it with: agentrag collections rebuild {name}")


class RunBusyError(StoreError):
    """A process works on this run, so that nobody else may: its calls would be paid for twice."""

    def __init__(self, run: str, pid: int) -> None:
        self.run, self.pid = run, pid
        who = "another journal of this process" if pid == os.getpid() else f"process {pid}"
        super().__init__(f"Run {run} is worked on by {who}. Wait until that has ended, or end it; then resume the run.")


class DataSetError(AgentRagError):
    """An evaluation data set is malformed."""


class RunError(AgentRagError):
    """A run failed."""


class InputError(RunError):
    """An input of a run is missing, unknown or of the wrong type; nothing has run."""


class NodeError(RunError):
    """A node failed; `__cause__` is why."""

    def __init__(self, node: str, step: str, reason: str) -> None:
        self.node, self.step = node, step
        super().__init__(f"Node '{node}' (step {step}) failed: {reason}")


class BranchError(RunError):
    """Branches of a `parallel` or items of an `each` failed.

    Attributes:
        step: Path of the fan-out.
        failed: Reasons by branch name or item number.
        gave: What the branches that ended well gave: values by channel, by branch.
        cancelled: Branches that were ended because of the failure.
    """

    def __init__(
        self, step: str, failed: Mapping[str, str], gave: Mapping[str, Mapping[str, Any]], cancelled: Sequence[str] = ()
    ) -> None:
        self.step, self.failed, self.gave, self.cancelled = step, dict(failed), dict(gave), tuple(cancelled)
        parts = [f"'{name}' failed: {reason}" for name, reason in failed.items()]
        parts += [f"'{name}' gave {', '.join(sorted(values)) or 'nothing'}" for name, values in gave.items()]
        parts += [f"'{name}' was cancelled" for name in cancelled]
        super().__init__(f"Step {step}: branch " + "; branch ".join(parts))


class BudgetError(RunError):
    """A budget has too little left for what comes next; nothing was sent.

    Runs do not fail with it: they end with the best answer so far.

    Attributes:
        unit: The unit that lacks: "calls", "passages", "tokens", "usd" or "seconds".
        limit: How much of it there was; None where only the keeper of the budget knows.
        scope: Whose budget it is: "run", "tenant", or the name of the inner graph whose share it is.
        step: Path of the step that met the limit.
        state: Channels of the graph when the limit was met, as far as steps had ended.
    """

    def __init__(self, unit: str, limit: float | None, scope: str, step: str, after: str = "") -> None:
        self.unit, self.limit, self.scope, self.step = unit, limit, scope, step
        self.state: Mapping[str, Any] | None = None
        much = "" if limit is None else f"{limit:,.10g} "
        whose = f"the {scope}'s budget" if scope in ("run", "tenant") else f"the budget of graph '{scope}'"
        self.reason = f"{whose} of {much}{unit} has too little left" + (f" to try again after: {after}" if after else "")
        super().__init__(f"Step {step}: {self.reason}")


class ExhaustedError(RunError):
    """A loop with `on_exhausted: fail` ended its last round and its `until` was not true."""

    def __init__(self, step: str, rounds: int, until: str) -> None:
        self.step, self.rounds = step, rounds
        super().__init__(f"Step {step}: after {rounds} rounds '{until}' is still not true")


@dataclass(frozen=True, slots=True)
class Question:
    """What a run asks a person.

    Attributes:
        choices: The allowed answers; any where empty.
        schema: JSON Schema that the answer must satisfy; the answer is a text where None.
        bytes: Most UTF-8 bytes of a text, of each text of a list, or of an object as JSON; any number where None.
    """

    text: str
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    bytes: int | None = None


class PausedError(RunError):
    """The run waits for a person. `questions` are by the step that asks."""

    def __init__(self, run: str, questions: Mapping[str, Question]) -> None:
        self.run, self.questions = run, dict(questions)
        asked = "; ".join(f"{step}: {question.text}" for step, question in questions.items())
        super().__init__(f"Run {run} waits for a person. {asked}")


class InDoubtError(RunError):
    """A write was begun before the run was interrupted, and nobody knows whether it was done."""

    def __init__(self, run: str, step: str, target: str, idempotency_key: str) -> None:
        self.run, self.step, self.target, self.idempotency_key = run, step, target, idempotency_key
        super().__init__(
            f"Step {step} of run {run} began a write to {target} (idempotency key {idempotency_key}), and its result is not "
            f"known. See there whether it was done, then resume with --settle {idempotency_key}=redo or =RESULT as JSON."
        )


class ReplayError(RunError):
    """A replay met a call that its journal has no answer for; nothing was sent."""

    def __init__(self, step: str, kind: str, target: str) -> None:
        self.step = step
        super().__init__(f"Step {step}: the record has no answer for this {kind} call to {target}; a replay makes no call.")


class RecordingError(RunError):
    """Nothing is recorded for what a node would use again, or the run asks no query of a data set."""


class ChangedError(RunError):
    """The graph is not the one that the run began with."""

    def __init__(self, run: str, problems: Sequence[Problem]) -> None:
        self.run, self.problems = run, tuple(problems)
        told = "\n".join(map(str, problems))
        super().__init__(f"{told}\nRun {run} began with another graph. Go on with: agentrag runs fork {run}")


class ModelError(RunError):
    """A model call failed.

    Attributes:
        retryable: True when the same call may succeed later (overload, time-out, broken connection).
        retry_after: Seconds that the server asked to wait, where it did.
        usage: What the call cost all the same; None where its client does not say.
    """

    def __init__(self, message: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        self.retryable, self.retry_after = retryable, retry_after
        self.usage: Usage | None = None
        super().__init__(message)


LONGEST_NAME = 200
"""Characters of an unknown name that are shown."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is unknown, what is nearest to it, and what is known."""
    names = sorted(known)
    near = get_close_matches(name[:LONGEST_NAME], names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listing = ", ".join(names) if names else "none"
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    return f"Unknown {kind} '{shown}'.{hint} Known: {listing}."
