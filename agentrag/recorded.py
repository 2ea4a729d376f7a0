"""Recorded runs as they lie in a journal: found, shown, taken along, deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from agentrag.core.errors import AgentRagError, Question, RunError, SpecError, StoreError, UnknownNameError
from agentrag.core.observing import redactor_of
from agentrag.core.ports import RunRecord, RunStatus
from agentrag.core.settings import Settings, load_settings
from agentrag.core.types import Usage
from agentrag.graph.recorded.answers import open_questions
from agentrag.graph.recorded.economy import Economy
from agentrag.graph.recorded.edits import spot_of
from agentrag.graph.recorded.sources import recorded_graph
from agentrag.graph.recorded.tree import TreeStep, costs_of, tree_of
from agentrag.graph.spec import GraphSpec
from agentrag.journal.damage import damaged
from agentrag.journal.export import export_cassette, export_lines
from agentrag.journal.history import History
from agentrag.journal.past import PastRun
from agentrag.journal.retention import delete_runs
from agentrag.journal.schema import faults
from agentrag.threads import THREAD

LATEST = "last"


@dataclass(frozen=True, slots=True)
class Shown:
    """A run in full.

    Attributes:
        run: How it was begun and how it ended.
        steps: Its steps as a tree.
        usage: What each node cost, by node name.
        saved: What its reused answers had cost when they were made.
        in_doubt: Targets of the writes whose result is not known, by idempotency key.
        questions: What it waits for a person to answer, by the step that asks.
        economy: What became of its budget.
    """

    run: PastRun
    steps: tuple[TreeStep, ...]
    usage: Mapping[str, Usage]
    saved: Mapping[str, Usage]
    in_doubt: Mapping[str, str]
    questions: Mapping[str, Question]
    economy: Economy


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten: ids of runs, and by how many bytes the file shrank."""

    runs: tuple[str, ...]
    bytes: int


class RecordedRuns:
    """The runs that a journal holds. A run is named by its id, by a beginning of it that no other has, or "last".

    Where the settings name a tenant, only its runs are there.

    Args:
        settings: Read from agentrag.yaml and the environment where None.
        journal: The journal's file; `journal.sqlite` in the settings' home where None.
        clock: Gives the time in seconds since 1970, UTC.
        patience: Seconds to wait for a process that works on a run which somebody answers: it may just be keeping another
            answer.

    Raises:
        StoreError: From every method: the journal is not there or cannot be used.
        UnknownNameError: From every method that takes a run: there is none of this name.
        RunError: From the same: the beginning is that of several runs.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        journal: Path | None = None,
        clock: Callable[[], float] = time,
        patience: float = 5.0,
    ) -> None:
        self._settings, self._journal, self._clock, self._patience = settings, journal, clock, patience

    @cached_property
    def settings(self) -> Settings:
        """Where models and collections come from."""
        return self._settings or load_settings()

    @cached_property
    def path(self) -> Path:
        """The journal's file."""
        return self._journal or self.settings.home / "journal.sqlite"

    @cached_property
    def tenant(self) -> str | None:
        """Whose runs these are; anybody's where None. Settings that cannot be read are an error: they may name a tenant."""
        return self.settings.tenant or None

    def list(
        self,
        graph: str | None = None,
        status: RunStatus | None = None,
        limit: int | None = 20,
        thread: str | None = None,
    ) -> list[PastRun]:
        """Runs, newest first: those of one graph, that ended in one way, or of one thread, at most `limit`."""
        if self._journal is None and not self.path.exists():
            return []  # nothing has run here yet
        with self._history() as history:
            if thread is None:
                return history.runs(graph, status, limit)
            found = history.runs(graph, status, None)
        return [past for past in found if past.record.options.get(THREAD) == thread][:limit]

    def find(self, name: str) -> PastRun:
        """One run."""
        with self._history() as history:
            if name != LATEST:
                return history.run(_full_id(history, name))
            latest = history.runs(limit=1)
        if not latest:
            raise UnknownNameError("run", name, ())
        if latest[0].damage:
            raise StoreError(latest[0].damage)
        return latest[0]

    def show(self, name: str) -> Shown:
        """One run with all its steps."""
        past = self.find(name)
        run = past.record.run
        with self._history() as history, _undamaged(self.path, run):
            notes, settled = history.notes(run), history.settled(run)
            steps = tree_of(history.calls(run), notes, settled, _names(past.record))
            questions = open_questions(notes, settled) if past.waits else {}
            return Shown(past, steps, *costs_of(steps), history.in_doubt(run), questions, Economy.of(notes))

    def questions(self, name: str) -> Mapping[str, Question]:
        """What a run waits for a person to answer, by the step that asks: the id of the pause."""
        past = self.find(name)
        run = past.record.run
        if not past.waits:
            return {}
        with self._history() as history, _undamaged(self.path, run):
            return open_questions(history.notes(run), history.settled(run))

    def export(self, names: Iterable[str], target: Path) -> tuple[str, ...]:
        """Write runs to a new file, readable by its owner only; their ids.

        Args:
            names: The runs.
            target: "*.jsonl": lines of JSON without credentials. Any other name: a journal with these runs, kept whole.

        Raises:
            StoreError: `target` is there already or cannot be written.
        """
        runs = tuple(dict.fromkeys(self.find(name).record.run for name in names))
        if target.suffix == ".jsonl":
            _write_lines(target, export_lines(self.path, runs, self.tenant, redactor_of(self.settings).data))
            return runs
        return export_cassette(self.path, runs, target, self.tenant)

    def prune(
        self,
        older_than: timedelta | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        *,
        unfinished: bool = False,
        dry: bool = False,
    ) -> Pruned:
        """Delete runs, oldest first, and give their space back; see `agentrag.journal.retention.delete_runs`.

        Args:
            older_than: Those that were last worked on longer ago.
            keep: All that ended but so many, the newest.
            max_bytes: Those that ended, until what is left takes no more.
            unfinished: `older_than` also holds for runs that run or wait for a person.
            dry: Delete nothing; say what would be deleted.
        """
        rules = {"older_than": older_than, "keep": keep, "max_bytes": max_bytes}
        with TemporaryDirectory() as folder:
            path = _copied(self.path, Path(folder) / "journal.sqlite") if dry else self.path
            before = _ids(path)
            copy_of = self.path if dry else None
            deleted = delete_runs(path, **rules, include_unfinished=unfinished, copy_of=copy_of, tenant=self.tenant)  # type: ignore[arg-type]  # each rule has its own type
            left = set(_ids(path))
        return Pruned(tuple(run for run in before if run not in left), deleted.bytes)

    def _history(self) -> History:
        return History(self.path, self.tenant)


@contextmanager
def _undamaged(path: Path, run: str) -> Iterator[None]:
    """Say of notes and decisions that parse, and are not what a run leaves, that somebody changed them."""
    try:
        yield
    except AgentRagError:  # some are KeyErrors too
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, run, "a note or a decision") from error


def _full_id(history: History, name: str) -> str:
    try:
        return history.full_id(name)
    except UnknownNameError as error:
        meant = [run for run in error.known if run.startswith(name)]
        if len(meant) > 1:
            raise RunError(f"'{name}' is the beginning of several runs; write more of it: {', '.join(meant)}") from error
        raise


def _names(record: RunRecord) -> Callable[[str], str]:
    """What gives the full name of the node at a path of a run, from what the record holds of its graph; "" where it cannot."""

    @cache
    def graph() -> GraphSpec | None:
        with suppress(SpecError):
            return recorded_graph(record)
        return None

    def name(path: str) -> str:
        spec = graph()
        spot = None if spec is None else spot_of(spec, path)
        return spot.graphs + spot.node if spot and spot.node else ""

    return name


def _write_lines(target: Path, lines: Iterable[str]) -> None:
    try:
        target.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise StoreError(f"File {target} is there already.") from error
    try:
        with target.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except BaseException:
        target.unlink()
        raise


def _copied(journal: Path, target: Path) -> Path:
    if not journal.is_file():
        raise StoreError(f"Journal {journal} is not there.")
    with faults(journal, "read"), closing(sqlite3.connect(journal)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def _ids(path: Path) -> list[str]:
    if not path.is_file():
        raise StoreError(f"Journal {path} is not there.")
    with faults(path, "read"), closing(sqlite3.connect(path)) as database:
        return [run for (run,) in database.execute("SELECT run FROM runs ORDER BY id")]
