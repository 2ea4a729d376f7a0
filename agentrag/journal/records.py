"""What is written to a journal's file and read from it. Every method is one transaction; none awaits anything."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import Any, cast

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import StoreError
from agentrag.core.ports import RunRecord, RunStatus
from agentrag.journal.damage import parsed, parsed_table
from agentrag.journal.lookup import kept_of, known_run, latest_seq, number_of
from agentrag.journal.open_run import OpenRun, Waiting
from agentrag.journal.owner import Owner
from agentrag.journal.recall import Place, Recall, place_of
from agentrag.journal.schema import faults, identity, journal_error, open_to_write

Answer = tuple[int, bytes, float]
"""Number, body as JSON, and the seconds that it took."""

SEEN_SECONDS = 0.1
"""For so long a file that was there is taken to be there still: to look takes 2 us."""

to_json: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_CALL = f"INSERT INTO calls VALUES ({', '.join('?' * 13)})"
_ANSWER = "INSERT INTO answers (key, deterministic, seconds, request, body) VALUES (?, ?, ?, ?, ?)"
_NOTE = "INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?)"
_RUN = """INSERT INTO runs (run, graph, ref, tenant, status, parent, cut, inputs, parts, sources, options, started, owner)
          VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?)"""
_END = """UPDATE runs SET status = ?, ended = max(started, ?), seconds = seconds + ?, outputs = ?, error = ?,
          owner = nullif(owner, ?) WHERE id = ?"""


class Records:
    """The connection to a journal's file.

    Args:
        path: The file.
        patience: Seconds to wait, at every access, while another process writes.
        clock: Gives the time in seconds since 1970, UTC. It may jump: no order is taken from it.

    Raises:
        StoreError: From every method: SQLite failed; the cause is chained.
    """

    def __init__(self, path: Path, patience: float, clock: Callable[[], float]) -> None:
        self.path, self.clock = path, clock
        self._database = open_to_write(path, patience)
        self._place = path.resolve()
        self._opened, self._seen = identity(self._place), 0.0
        self._owner = Owner(self._place)
        self._lock = RLock()

    def close(self) -> None:
        """Close the file, and leave the runs to others. Calling it twice is allowed."""
        with self._lock:
            self._database.close()
            self._owner.release()

    def refuse_lost(self) -> None:
        """Refuse to go on where the file was deleted: what is written now, nobody will ever read."""
        now = perf_counter()
        if now - self._seen < SEEN_SECONDS:
            return
        self._seen = now
        if identity(self._place) != self._opened:
            self._seen = 0.0
            raise StoreError(f"Journal {self.path} was deleted or replaced while it was open. Nothing more is recorded in it.")

    def prepare_reuse(self) -> None:
        """Make answers quick to find by what was asked. Only journals that are opened for reuse pay for this at every call."""
        with self._writing() as database:
            database.execute("CREATE INDEX IF NOT EXISTS answers_by_key ON answers (key) WHERE deterministic")

    def begin(self, record: RunRecord, *, asked: bool = True) -> OpenRun:
        """Enter a new run, or take up a known one; `asked` where it is begun, and not only added to.

        Raises:
            RunBusyError: Somebody else works on it.
            StoreError: Its parent, or the step at which that is cut, is unknown; or a run of this id is another tenant's, or
                began with another graph.
        """
        self.refuse_lost()
        with self._lock, faults(self.path, "written"):
            self._owner.hold()
        with self._writing() as database:
            known = database.execute("SELECT id, parent, cut, owner, tenant FROM runs WHERE run = ?", (record.run,)).fetchone()
            if known is None:
                parent = known_run(database, record.parent, record.tenant) if record.parent else None
                number = self._enter(record)
                recall = Recall((), kept_of(database, parent, record.cut))
                return OpenRun(number, recall, record.tenant, doubts=self._doubts(parent), loose=not asked)
            number, parent_name, cut, owner, tenant = known
            if asked and tenant != record.tenant:  # before anything of it is told
                raise StoreError(f"Run {record.run} is another tenant's.")
            self._owner.refuse_busy(record.run, owner)
            parent = number_of(database, parent_name, tenant)
            if asked:
                if parent_name is not None and parent is None:  # its writes would be made again
                    told = f"the run {parent_name} that it was forked from is not in this journal any more"
                    raise StoreError(f"Run {record.run} cannot be gone on with: {told}.")
                self._refuse_another(record, number)
                update = "UPDATE runs SET status = 'running', ended = NULL, error = '', owner = ? WHERE id = ?"
                database.execute(update, (self._owner.name, number))
            return self._taken_up(number, tenant, parent, cut)

    def end(self, run: OpenRun, status: RunStatus, outputs: bytes | None, error: str) -> None:
        """Say how a run ended, write what waits, and leave it to others."""
        with self._writing(run) as database:
            numbers = self._write_waiting(run)
            told = (status, self.clock(), perf_counter() - run.begun, outputs, _writable(error))
            database.execute(_END, (*told, self._owner.name, run.number))
        self._written(run, numbers)

    def keep(self, run: OpenRun, call: OutwardCall, body: bytes, seconds: float, *, reused: bool = False) -> None:
        """Write a new answer and the call that got it; a write is no longer in doubt.

        Where that fails, the answer was paid for: it waits, and is written before the run makes another call.
        """
        try:
            with self._writing(run):
                number = self._write_answer(run, call, body, seconds, reused)
                self._write_notes(run)
        except StoreError as error:
            if not isinstance(error.__cause__, sqlite3.IntegrityError):  # that would never be taken
                run.waiting.append(Waiting(call, body, seconds, reused))
            raise
        run.notes.clear()
        run.recall.add(call, number)

    def flush(self, run: OpenRun) -> None:
        """Write the answers and notes that wait."""
        if not (run.waiting or run.notes):
            return
        with self._writing(run):
            numbers = self._write_waiting(run)
        self._written(run, numbers)

    def reuse(self, run: OpenRun, call: OutwardCall, number: int) -> Answer | None:
        """Write that a call was given an earlier answer; None where that is no longer there."""
        with self._writing(run):
            answer = self.answer(number, call.key)
            if answer is None:
                return None
            self._write_call(run, call, number, reused=True)
            self._write_notes(run)
        run.notes.clear()
        run.recall.add(call, number)
        return answer

    def answer(self, number: int, key: bytes) -> Answer | None:
        """An answer by its number; None where it was pruned."""
        row = self._row("SELECT id, body, seconds FROM answers WHERE id = ? AND key = ?", (number, key))
        return cast("Answer | None", row)

    def find(self, key: bytes) -> int | None:
        """Number of the first answer that any run got to an equal deterministic call."""
        row = self._row("SELECT id FROM answers WHERE key = ? AND deterministic ORDER BY id LIMIT 1", (key,))
        return row[0] if row else None

    def intend(self, run: OpenRun, call: OutwardCall, idempotency_key: str) -> None:
        """Write that a write is about to begin."""
        place = place_of(call)
        row = (run.number, *place, idempotency_key, call.target, call.request_json, self.clock())
        with self._writing() as database:
            database.execute(f"INSERT INTO intents VALUES ({', '.join('?' * 8)})", row)
        run.intents[place] = idempotency_key

    def settled(self, run: str, step: str) -> str | None:
        """What was decided at a step, as JSON."""
        query = "SELECT value FROM settled JOIN runs ON runs.id = settled.run WHERE runs.run = ? AND step = ?"
        row = self._row(query, (run, step))
        return row[0] if row else None

    def noted(self, run: str, kind: str) -> list[tuple[str, str]]:
        """Step and body, as JSON, of the notes of one kind."""
        query = "SELECT step, body FROM notes JOIN runs ON runs.id = notes.run WHERE runs.run = ? AND kind = ? ORDER BY seq"
        with self._lock, faults(self.path, "read"):
            return self._database.execute(query, (run, kind)).fetchall()

    def settle(self, run: OpenRun, step: str, value: str) -> bool:
        """Write a decision; the first one stays. False where there was one."""
        with self._writing() as database:
            first = database.execute("INSERT OR IGNORE INTO settled VALUES (?, ?, ?)", (run.number, step, value)).rowcount
            select = "SELECT value FROM settled WHERE run = ? AND step = ?"
            (run.settled[step],) = database.execute(select, (run.number, step)).fetchone()
            self._write_notes(run)
        run.notes.clear()
        return first == 1

    def use_up(self, run: OpenRun, step: str) -> None:
        """Take back what was settled, if anything: leave to make a write again is for one time, and errors can be mended."""
        if step not in run.settled:
            return
        with self._writing() as database:
            database.execute("DELETE FROM settled WHERE run = ? AND step = ?", (run.number, step))
        del run.settled[step]

    @contextmanager
    def _writing(self, run: OpenRun | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction; where it fails, what it has written of `run` was not counted."""
        database, seq = self._database, run.seq if run else 0
        with self._lock:
            try:
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
            except BaseException as error:
                if run:
                    run.seq = seq
                # SQLite itself rolls back on a full disk
                with faults(self.path, "written"):
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error | MemoryError):
                    raise journal_error(self.path, "written", error) from error
                raise

    def _row(self, query: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with self._lock, faults(self.path, "read"):
            row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row

    def _write_call(self, run: OpenRun, call: OutwardCall, answer: int, *, reused: bool) -> None:
        place = (run.number, call.step, call.key, call.nth, run.next_seq(), call.ordinal)
        row = (*place, call.kind, call.target, call.deterministic, call.effect, answer, self.clock(), reused)
        self._database.execute(_CALL, row)

    def _write_waiting(self, run: OpenRun) -> list[int]:
        numbers = [self._write_answer(run, *waiting) for waiting in run.waiting]
        self._write_notes(run)
        return numbers

    def _write_answer(self, run: OpenRun, call: OutwardCall, body: bytes, seconds: float, reused: bool) -> int:
        row = (call.key, call.deterministic, seconds, call.request_json, body)
        answer = cast("int", self._database.execute(_ANSWER, row).lastrowid)
        self._write_call(run, call, answer, reused=reused)
        if call.effect == "write":
            delete = "DELETE FROM intents WHERE run = ? AND step = ? AND key = ? AND nth = ?"
            self._database.execute(delete, (run.number, *place_of(call)))
        return answer

    def _write_notes(self, run: OpenRun) -> None:
        if run.notes:
            self._database.executemany(_NOTE, [(*head, _writable(body), at) for *head, body, at in run.notes])

    def _written(self, run: OpenRun, numbers: list[int]) -> None:
        for waiting, number in zip(run.waiting, numbers, strict=True):
            run.recall.add(waiting.call, number)
        run.waiting.clear()
        run.notes.clear()

    def _refuse_another(self, record: RunRecord, number: int) -> None:
        """Refuse to go on with a run of the same id that is another one. What never said its parts is known by its id alone."""
        query = "SELECT inputs, body FROM runs JOIN texts ON texts.id = parts WHERE runs.id = ?"
        inputs, parts = self._database.execute(query, (number,)).fetchone()
        parsed(self.path, inputs, record.run, "what was given to the inputs")
        known = parsed_table(self.path, parts, record.run, "the hashes of the graph")
        if known and record.parts and known != dict(record.parts):
            raise StoreError(f"Run {record.run} began with another graph. Go on with: agentrag runs fork {record.run}")

    def _enter(self, record: RunRecord) -> int:
        parts, sources = self._text(record.parts), self._text(record.sources)
        named = (record.run, record.graph, record.ref, record.tenant, record.parent, record.cut)
        given, how = to_json(dict(record.inputs)), to_json(dict(record.options))
        row = (*named, given, parts, sources, how, self.clock(), self._owner.name)
        return cast("int", self._database.execute(_RUN, row).lastrowid)

    def _text(self, texts: Mapping[str, str]) -> int:
        body = json.dumps(dict(texts), sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(body.encode()).digest()
        found = self._database.execute("SELECT id FROM texts WHERE hash = ?", (digest,)).fetchone()
        if found:
            return cast("int", found[0])
        insert = "INSERT INTO texts (hash, body) VALUES (?, ?)"
        return cast("int", self._database.execute(insert, (digest, body)).lastrowid)

    def _taken_up(self, number: int, tenant: str, parent: int | None, cut: str | None) -> OpenRun:
        database, of_run = self._database, (number,)
        recall = Recall(kept_of(database, number), kept_of(database, parent, cut))
        settled = dict(database.execute("SELECT step, value FROM settled WHERE run = ?", of_run))
        intents: dict[Place, str] = {
            (step, key, nth): name
            for step, key, nth, name in database.execute(
                "SELECT step, key, nth, idempotency_key FROM intents WHERE run = ?", of_run
            )
        }
        doubts = self._doubts(parent, known={*settled, *intents.values()})
        return OpenRun(number, recall, tenant, latest_seq(database, number), settled, intents, doubts)

    def _doubts(self, run: int | None, known: Set[str] = frozenset()) -> dict[bytes, list[str]]:
        doubts: dict[bytes, list[str]] = {}
        query = "SELECT key, idempotency_key FROM intents WHERE run = ? ORDER BY at"
        for key, name in self._database.execute(query, (run,)):
            if name not in known:
                doubts.setdefault(key, []).append(name)
        return doubts


def _writable(text: str) -> str:
    """The text without lone surrogates, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode()
