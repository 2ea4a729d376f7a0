"""The durable journal: every outward call of every run in one SQLite file.

Payloads are kept whole, so the file is readable by its owner only. Requests never hold credentials: clients add those
after the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from time import perf_counter, time
from typing import Any, TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import InDoubtError, StoreError
from agentrag.core.ports import Codec, Recorded, RunRecord, RunStatus
from agentrag.journal.damage import parsed
from agentrag.journal.open_run import Flight, OpenRun
from agentrag.journal.recall import place_of
from agentrag.journal.records import Answer, Records, to_json
from agentrag.journal.schema import BUSY_SECONDS

T = TypeVar("T")
_NOTES_AT_ONCE = 200


class SqliteJournal:
    """Records runs in `path`; several processes may use one file.

    A run may also make calls without `begin`: it is then begun by its first call, and counts as finished when the journal
    is closed.

    Args:
        path: The file; made with its folders where it is not there. One of version 0.1 is brought to today's format.
        reuse: Answer a deterministic call (search, embedding, temperature 0) from an equal one of any earlier run in
            this file. Such a file is a cassette: a second run costs nothing and says the same.
        patience: Seconds to wait, at every access, while another process writes.
        clock: Gives the time in seconds since 1970, UTC.

    Raises:
        StoreError: The file is no journal, or cannot be opened.
    """

    def __init__(
        self, path: Path, *, reuse: bool = False, patience: float = BUSY_SECONDS, clock: Callable[[], float] = time
    ) -> None:
        self.path, self.reuse = path, reuse
        self._records = Records(path, patience, clock)
        if reuse:
            self._records.prepare_reuse()
        self._runs: dict[str, OpenRun] = {}
        self._closed = False

    def begin(self, record: RunRecord) -> None:
        """Begin a run, or go on with it; see `agentrag.core.ports.Journal`.

        Until it ends, or this journal is closed or its process killed, no other journal may begin it.
        """
        if known := self._runs.get(record.run):
            self._records.flush(known)
        self._runs[record.run] = self._records.begin(record)

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        """Say how a run ended; see `agentrag.core.ports.Journal`."""
        self._records.end(self._open(run), status, outputs, error)
        del self._runs[run]

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record or do `work`; see `agentrag.core.ports.Journal`.

        Two equal deterministic calls of a run that are in flight at once are made once: the second one waits for the first,
        and fails with it, but for a failure that concerns only the first one. After an answer that could not be written the
        run makes no call until that is written. Cost: one commit, about 100 microseconds.

        Raises:
            InDoubtError: A write was begun before and its result is not known.
            StoreError: The journal cannot be read or written.
        """
        run = self._open(call.run, call.tenant)
        if run.tenant != call.tenant:
            raise StoreError(f"Run {call.run} is another tenant's.")
        if run.waiting:
            self._records.flush(run)
        while (answer := self._answer(run, call)) is None:
            flight = run.flights.get(call.key) if call.deterministic else None
            if flight is None:
                return await self._make(run, call, work, codec)
            await flight.landed.wait()
            if flight.failure is not None:
                raise flight.failure
        _, body, seconds = answer
        return Recorded(decoded(self.path, call, codec, body), seconds, reused=True)

    def name_of(self, call: OutwardCall) -> str:
        """Under which name a write is sent; see `agentrag.core.ports.Journal`."""
        return self._open(call.run, call.tenant).intents.get(place_of(call), call.idempotency_key)

    def settled(self, run: str, step: str) -> Any:
        """What was decided at a step; see `agentrag.core.ports.Journal`."""
        known = self._runs.get(run)
        value = known.settled.get(step) if known else self._records.settled(run, step)
        return None if value is None else parsed(self.path, value, run, f"what was decided at {step}")

    def settle(self, run: str, step: str, value: Any) -> bool:
        """Keep a decision; see `agentrag.core.ports.Journal`."""
        return self._records.settle(self._open(run), step, to_json(value))

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        """Keep something for people to read; see `agentrag.core.ports.Journal`. Cost: about 5 microseconds."""
        known = self._open(run)
        known.notes.append((known.number, known.next_seq(), step, kind, to_json(body), self._records.clock()))
        if len(known.notes) >= _NOTES_AT_ONCE:
            self._records.flush(known)

    def noted(self, run: str, kind: str) -> list[tuple[str, Any]]:
        """What was noted of one kind; see `agentrag.core.ports.Journal`. Notes that are not written yet are not among them."""
        rows = self._records.noted(run, kind)
        return [(step, parsed(self.path, body, run, f"a note at {step}")) for step, body in rows]

    def close(self) -> None:
        """Write what waits and close the file. Calling it twice is allowed."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as stack:
            stack.callback(self._records.close)
            for run in self._runs.values():
                stack.callback(self._leave, run)
            self._runs = {}

    def _leave(self, run: OpenRun) -> None:
        if run.loose:
            self._records.end(run, "finished", None, "")
        else:
            self._records.flush(run)

    def _open(self, run: str, tenant: str = "") -> OpenRun:
        known = self._runs.get(run)
        if known is None:
            known = self._runs[run] = self._records.begin(RunRecord(run, "", tenant=tenant), asked=False)
        return known

    def _answer(self, run: OpenRun, call: OutwardCall) -> Answer | None:
        """What is recorded for a call; None where it must be made."""
        number = run.recall.same(call)
        if number is not None:
            return self._records.answer(number, call.key)
        number = run.recall.equal(call)
        if number is None:
            number = run.recall.inherited(call)
        if number is None and self.reuse and call.deterministic:
            number = self._records.find(call.key)
        return None if number is None else self._records.reuse(run, call, number)

    async def _make(self, run: OpenRun, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        if call.effect == "write" and (result := self._intend(run, call)) is not None:
            return self._settled_result(run, call, codec, result)
        with Flight(run.flights, call.key) if call.deterministic else nullcontext():
            self._records.refuse_lost()
            begun = perf_counter()
            value = await work()
            seconds = perf_counter() - begun
            self._records.keep(run, call, codec.dump_json(value), seconds)
        if call.effect == "write":
            run.intents.pop(place_of(call), None)
        return Recorded(value, seconds, reused=False)

    def _intend(self, run: OpenRun, call: OutwardCall) -> bytes | None:
        """Record that a write begins; the JSON of its result where a person settled that instead."""
        name = run.intents.get(place_of(call))
        if name is None and not run.doubts.get(call.key):
            self._records.intend(run, call, call.idempotency_key)
            return None
        if name is None:
            # the run that this one was forked from may have made this write
            name = run.doubts[call.key].pop(0)
            self._records.intend(run, call, name)
        decided = parsed(self.path, run.settled.get(name, "null"), call.run, f"what was decided of the write {name}")
        if isinstance(decided, dict) and "result" in decided:
            return to_json(decided["result"]).encode()
        self._records.use_up(run, name)
        if decided != {"redo": True}:
            raise InDoubtError(call.run, call.step, call.target, name)
        return None

    def _settled_result(self, run: OpenRun, call: OutwardCall, codec: Codec[T], body: bytes) -> Recorded[T]:
        place = place_of(call)
        try:
            value = codec.validate_json(body)
        except (ValueError, TypeError, KeyError) as error:
            # else nobody could ever say anything better
            self._records.use_up(run, run.intents[place])
            raise InDoubtError(call.run, call.step, call.target, run.intents[place]) from error
        self._records.keep(run, call, body, 0.0, reused=True)
        del run.intents[place]
        return Recorded(value, 0.0, reused=True)


def decoded(path: Path, call: OutwardCall, codec: Codec[T], body: bytes) -> T:
    """A recorded answer as the value that the call gave.

    Raises:
        StoreError: It is damaged, or another version of the caller wrote it.
    """
    try:
        return codec.validate_json(body)
    except (ValueError, TypeError, KeyError) as error:
        what = f"its answer to the {call.kind} call of step {call.step} in run {call.run} is not what such a call gives"
        raise StoreError(f"Journal {path} cannot be read: {what}") from error
