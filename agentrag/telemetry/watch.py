"""Watching runs: who watches hears every event of a run and sees every outward call, and can neither stop nor fail it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.events import CallFinished, Event, RunFinished, RunStarted, Token
from agentrag.core.ports import Codec, Journal, Recorded, RunRecord, RunStatus
from agentrag.core.types import Usage

T = TypeVar("T")
Outcome = Recorded[Any] | BaseException
_LOG = logging.getLogger("agentrag.telemetry")
_MOST = 10_000
"""Runs that are watched at once: the end of one whose journal was replaced is not heard where it fails."""
_here: ContextVar[str] = ContextVar("run", default="")


@dataclass
class Run:
    """A run that is watched.

    Attributes:
        began: When, by `perf_counter`.
        usage: What it has paid so far.
    """

    record: RunRecord
    began: float
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended. `outputs` is JSON."""

    status: RunStatus
    outputs: bytes | None = None
    error: str = ""

    @property
    def reason(self) -> str:
        """Why, without the texts of questions to people, which hold what users asked and models said."""
        return "waits for a person" if self.status == "paused" else self.error


class Watcher:
    """Who watches runs; each method is called in the event loop, in the task of the step, and has to be quick."""

    def heard(self, run: Run, event: Event) -> None:
        """Hear an event, `RunStarted` first."""

    def calling(self, run: Run, call: OutwardCall) -> Callable[[Outcome], None] | None:
        """See a call begin; what is returned is called with its outcome, in the same task."""
        return None

    def ended(self, run: Run, end: End) -> None:
        """See a run end, which heard `RunStarted`."""


class Watch:
    """A journal and a listener that pass everything on, and let watchers see it.

    Errors of watchers are logged once and go no further.
    """

    def __init__(self, journal: Journal, listen: Callable[[Event], None], watchers: Sequence[Watcher]) -> None:
        self._journal, self._listen, self._watchers = journal, listen, tuple(watchers)
        self._begun: dict[str, RunRecord] = {}
        self._runs: dict[str, Run] = {}
        self._complained = False

    def listen(self, event: Event) -> None:
        """Pass on an event, and let watchers hear it."""
        self._listen(event)
        if type(event) is Token:
            return
        if isinstance(event, RunStarted):
            self._start(event)
        run = self._run(_here.get())
        if run is None:
            return
        if isinstance(event, CallFinished):
            run.usage += event.usage
        for watcher in self._watchers:
            self._safely(watcher.heard, run, event)
        if isinstance(event, RunFinished):  # its journal has told the end before, unless it was replaced
            self._end(event.run, End("finished"))

    def begin(self, record: RunRecord) -> None:
        self._journal.begin(record)
        _bounded(self._begun)[record.run] = record

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        try:
            self._journal.end(run, status, outputs, error)
        finally:
            self._begun.pop(run, None)
            self._end(run, End(status, outputs, error))

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        run = self._runs.get(call.run)
        if run is None:
            return await self._journal.call(call, work, codec)
        seen = [self._safely(watcher.calling, run, call) for watcher in self._watchers]
        try:
            recorded = await self._journal.call(call, work, codec)
        except BaseException as error:
            self._tell(seen, error)
            raise
        self._tell(seen, recorded)
        return recorded

    def name_of(self, call: OutwardCall) -> str:
        return self._journal.name_of(call)

    def settled(self, run: str, step: str) -> Any:
        return self._journal.settled(run, step)

    def settle(self, run: str, step: str, value: Any) -> bool:
        return self._journal.settle(run, step, value)

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        self._journal.note(run, step, kind, body)

    def noted(self, run: str, kind: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return self._journal.noted(run, kind)

    def close(self) -> None:
        self._journal.close()

    def _start(self, event: RunStarted) -> None:
        record = self._begun.pop(event.run, None) or RunRecord(event.run, event.graph)
        _bounded(self._runs)[event.run] = Run(record, perf_counter())
        _here.set(event.run)  # in the task of the run: tasks of its branches inherit it

    def _run(self, name: str) -> Run | None:
        """The run of this task; of a task that LangGraph made for a step, the only run that there is."""
        if name not in self._runs and len(self._runs) == 1:
            return next(iter(self._runs.values()))
        return self._runs.get(name)

    def _end(self, name: str, end: End) -> None:
        run = self._runs.pop(name, None)
        if run is not None:
            for watcher in self._watchers:
                self._safely(watcher.ended, run, end)

    def _tell(self, seen: Sequence[Callable[[Outcome], None] | None], outcome: Outcome) -> None:
        for tell in seen:
            if tell is not None:
                self._safely(tell, outcome)

    def _safely(self, told: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return told(*arguments)
        except Exception:
            if not self._complained:
                self._complained = True
                _LOG.warning("What a run told could not be taken down; further faults like this are not logged.", exc_info=True)
            return None


def _bounded(table: dict[str, T]) -> dict[str, T]:
    if len(table) >= _MOST:
        del table[next(iter(table))]
    return table
