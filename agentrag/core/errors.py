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
│   └── CollectionDamagedError  an index does not hold what was stored; `collections rebuild` restores it
├── DataSetError            an evaluation data set is malformed
└── RunError                a run failed
    ├── InputError          an input of the run is missing, unknown or of the wrong type; nothing has run
    ├── NodeError           a node failed (.node, .step); the cause is chained
    └── ModelError          a model call failed (.retryable, .retry_after in seconds)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


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


class ModelError(RunError):
    """A model call failed.

    Attributes:
        retryable: True when the same call may succeed later (overload, time-out, broken connection).
        retry_after: Seconds that the server asked to wait, where it did.
    """

    def __init__(self, message: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        self.retryable, self.retry_after = retryable, retry_after
        super().__init__(message)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is unknown, what is nearest to it, and what is known."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listing = ", ".join(names) if names else "none"
    return f"Unknown {kind} '{name}'.{hint} Known: {listing}."
