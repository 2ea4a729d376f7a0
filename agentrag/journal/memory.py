"""A journal in memory, for tests and for runs whose history nobody needs later."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import InDoubtError, StoreError, unknown
from agentrag.core.ports import Codec, Recorded, RunRecord, RunStatus
from agentrag.journal.recall import Kept, Place, Recall, covers, place_of

T = TypeVar("T")


@dataclass
class _Run:
    """What is kept of a run. `calls` are those that have an answer; `recall` knows those from before the latest `begin`."""

    record: RunRecord
    recall: Recall = field(default_factory=Recall)
    calls: list[Kept] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    intents: set[Place] = field(default_factory=set)
    noted: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


class MemoryJournal:
    """Makes every call, but for those that a run begun again, or forked, has an answer for.

    Attributes:
        calls: The calls that were made, in order of completion.
        notes: (run, step, kind, body) of every note, in order.
        ended: How runs ended, by their ids.
    """

    def __init__(self) -> None:
        self.calls: list[OutwardCall] = []
        self.notes: list[tuple[str, str, str, dict[str, Any]]] = []
        self.ended: dict[str, RunStatus] = {}
        self._runs: dict[str, _Run] = {}
        self._answers: list[tuple[Any, float]] = []

    def begin(self, record: RunRecord) -> None:
        """Begin a run, or go on with it; see `agentrag.core.ports.Journal`."""
        run = self._runs.get(record.run) or _Run(record)
        record = run.record
        run.recall = Recall(run.calls, self._parents(record) if record.parent else ())
        self.ended.pop(record.run, None)
        self._runs[record.run] = run

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        """Say how a run ended; see `agentrag.core.ports.Journal`."""
        self.ended[run] = status

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from before the latest `begin`, or do `work`; see `agentrag.core.ports.Journal`.

        Raises:
            InDoubtError: A write was begun before and its result is not known.
        """
        run = self._run(call.run)
        number = run.recall.same(call)
        if number is None and (number := run.recall.inherited(call)) is not None:
            run.recall.add(call, number)
            run.calls.append(_kept(call, number))
        if number is not None:
            value, seconds = self._answers[number]
            return Recorded(value, seconds, reused=True)
        if call.effect == "write" and (result := _intend(run, call)) is not None:
            value = codec.validate_json(result)
            self._keep(run, call, value, 0.0)
            return Recorded(value, 0.0, reused=True)
        begun = perf_counter()
        value = await work()
        seconds = perf_counter() - begun
        self.calls.append(call)
        self._keep(run, call, value, seconds)
        return Recorded(value, seconds, reused=False)

    def name_of(self, call: OutwardCall) -> str:
        """Under which name a write is sent: writes in doubt are not taken over by forks here."""
        return call.idempotency_key

    def settled(self, run: str, step: str) -> Any:
        """What was decided at a step; see `agentrag.core.ports.Journal`."""
        known = self._runs.get(run)
        return json.loads(known.settled.get(step, "null")) if known else None

    def settle(self, run: str, step: str, value: Any) -> bool:
        """Keep a decision; see `agentrag.core.ports.Journal`."""
        settled = self._run(run).settled
        first = step not in settled
        settled.setdefault(step, json.dumps(value))
        return first

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        """Keep something for people to read; see `agentrag.core.ports.Journal`."""
        self.notes.append((run, step, kind, dict(body)))
        self._run(run).noted.append((kind, step, dict(body)))

    def noted(self, run: str, kind: str) -> list[tuple[str, Mapping[str, Any]]]:
        """What was noted of one kind; see `agentrag.core.ports.Journal`."""
        return [(step, body) for what, step, body in self._run(run).noted if what == kind]

    def close(self) -> None:
        """Nothing is held."""

    def _run(self, run: str) -> _Run:
        return self._runs.setdefault(run, _Run(RunRecord(run, "")))

    def _keep(self, run: _Run, call: OutwardCall, value: Any, seconds: float) -> None:
        run.intents.discard(place_of(call))
        run.calls.append(_kept(call, len(self._answers)))
        self._answers.append((value, seconds))

    def _parents(self, record: RunRecord) -> list[Kept]:
        own = {name: run for name, run in self._runs.items() if run.record.tenant == record.tenant}
        parent, cut = record.parent or "", record.cut
        if parent not in own:
            raise StoreError(unknown("run", parent, own))
        calls = own[parent].calls
        if cut is None:
            return calls
        at = next((index for index, kept in enumerate(calls) if covers(cut, kept.step)), None)
        if at is None:
            raise StoreError(unknown("step", cut, {kept.step for kept in calls}))
        return calls[:at] + [kept for kept in calls[at:] if kept.effect == "write"]


def _kept(call: OutwardCall, number: int) -> Kept:
    return Kept(call.step, call.key, call.nth, call.effect, call.deterministic, number)


def _intend(run: _Run, call: OutwardCall) -> bytes | None:
    """Remember that a write begins; the JSON of its result where a person settled that instead."""
    name = call.idempotency_key
    if place_of(call) in run.intents:
        decided = json.loads(run.settled.get(name, "null"))
        if isinstance(decided, dict) and "result" in decided:
            return json.dumps(decided["result"]).encode()
        run.settled.pop(name, None)
        if decided != {"redo": True}:
            raise InDoubtError(call.run, call.step, call.target, name)
    run.intents.add(place_of(call))
    return None
