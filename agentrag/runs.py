"""What can be done with recorded runs: look at them, go on with them, repeat them for nothing, vary them, take them along."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentrag.app import Graph, Result
from agentrag.back_ends import open_deps
from agentrag.core.deps import Deps, Origin
from agentrag.core.errors import PausedError, RunError, StoreError, UnknownNameError
from agentrag.core.events import Event
from agentrag.core.ports import Journal, RunRecord, RunStatus
from agentrag.core.settings import Settings, load_settings
from agentrag.core.types import Usage
from agentrag.graph.recorded.answers import OPEN, answers_to, kept, refuse_needless, refuse_wrong_settlements
from agentrag.graph.recorded.replaying import RecordedAnswers, differences, replay_deps
from agentrag.graph.recorded.sources import recorded_graph, recorded_outputs, refuse_changed
from agentrag.graph.recorded.tree import TreeStep, costs_of, tree_of
from agentrag.journal.export import export_cassette, export_lines
from agentrag.journal.history import History
from agentrag.journal.past import PastRun
from agentrag.journal.retention import Deleted, delete_runs
from agentrag.journal.schema import faults
from agentrag.journal.sqlite import SqliteJournal
from agentrag.journal.steps import node_of
from agentrag.variation import Changes, current_graph, varied

__all__ = ["Changes", "Replayed", "Runs", "Shown"]

LATEST = "last"
NOTHING = Changes()
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """A run in full.

    Attributes:
        run: How it was begun and how it ended.
        steps: Its steps as a tree.
        usage: What each node cost, by node name.
        saved: What its reused answers had cost when they were made.
        in_doubt: Targets of the writes whose result is not known, by idempotency key.
    """

    run: PastRun
    steps: tuple[TreeStep, ...]
    usage: Mapping[str, Usage]
    saved: Mapping[str, Usage]
    in_doubt: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: its result, which tells what the run had cost, and what differs from the record.

    `differs` holds (recorded, replayed) as JSON data by output; it is empty where the replay says what the run said.
    """

    result: Result
    differs: Mapping[str, tuple[Any, Any]]


class Runs:
    """The runs that a journal holds. A run is named by its id, by a beginning of it that no other has, or "last".

    Args:
        settings: Read from agentrag.yaml and the environment where None.
        journal: The journal's file; `journal.sqlite` in the settings' home where None.

    Raises:
        StoreError: From every method: the journal is not there or cannot be used.
        UnknownNameError: From every method that takes a run: there is none of this name.

    >>> Runs(journal=Path("no-such-journal.sqlite")).find("last")
    Traceback (most recent call last):
    agentrag.core.errors.StoreError: Journal no-such-journal.sqlite is not there.
    """

    def __init__(self, settings: Settings | None = None, *, journal: Path | None = None) -> None:
        self._settings, self._journal = settings, journal

    @cached_property
    def settings(self) -> Settings:
        """Where models and collections come from."""
        return self._settings or load_settings()

    @cached_property
    def path(self) -> Path:
        """The journal's file."""
        return self._journal or self.settings.home / "journal.sqlite"

    def list(self, graph: str | None = None, status: RunStatus | None = None, limit: int | None = 20) -> list[PastRun]:
        """Runs, newest first: those of one graph, or that ended in one way, at most `limit`."""
        if self._journal is None and not self.path.exists():
            return []  # nothing has run here yet
        with History(self.path) as history:
            return history.runs(graph, status, limit)

    def find(self, name: str) -> PastRun:
        """One run."""
        with History(self.path) as history:
            if name != LATEST:
                return history.run(name)
            latest = history.runs(limit=1)
        if not latest:
            raise UnknownNameError("run", name, ())
        return latest[0]

    def show(self, name: str) -> Shown:
        """One run with all its steps."""
        past = self.find(name)
        run = past.record.run
        with History(self.path) as history:
            steps = tree_of(history.calls(run), history.notes(run), history.settled(run))
            return Shown(past, steps, *costs_of(steps), history.in_doubt(run))

    async def resume(
        self,
        name: str,
        *,
        answers: Mapping[str, str] | str | None = None,
        settle: Mapping[str, Any] | None = None,
        graph: Graph | None = None,
        on_event: OnEvent | None = None,
    ) -> Result:
        """Go on with a run: what it finished is answered from the record and not paid again.

        A finished run is not run again; its result is what was recorded. No other process may still work on the run.

        Args:
            name: The run.
            answers: A person's answers, by the step that asks; a text alone answers the one question that is open.
            settle: What became of writes in doubt, by idempotency key: `{"redo": True}` or `{"result": JSON data}`.
            graph: The graph of the run, where it was made in Python from nodes that have no registered name.
            on_event: Called with every event.

        Raises:
            ChangedError: The graph, a prompt or the version of a node is not what it was.
            InputError: An answer is not asked for, was given before, or is none of the choices.
            PausedError: The run waits for a person; `questions` says for what.
            RunError, StoreError, SettingsError, CatalogueError: As from `Graph.run`.
        """
        past = self.find(name)
        record = past.record
        left = {OPEN: answers} if isinstance(answers, str) else dict(answers or {})
        with History(self.path) as history:
            refuse_needless(past, history.settled(record.run), left)
            refuse_wrong_settlements(history.in_doubt(record.run), settle or {})
        if past.status == "finished":
            return self._recorded(name)
        agent = graph or current_graph(record)
        refuse_changed(record, agent.spec, agent.file)
        async with self._opened(agent, record) as deps:
            _settle(deps.journal, record, settle or {})
            while True:
                try:
                    return await agent.run(deps, on_event=on_event, **record.inputs)
                except PausedError as error:
                    given = answers_to(error.questions, left)
                    if not given:
                        raise
                    answered = {step: kept(error.questions[step], answer) for step, answer in given.items()}
                _settle(deps.journal, record, answered)

    async def replay(self, name: str, on_event: OnEvent | None = None) -> Replayed:
        """Run the recorded graph against the record alone: no model, no collection and no network is used.

        Raises:
            RunError: The run did not finish.
            SpecError: Its graph cannot be built from the record.
            ReplayError: The record has no answer for a call: the code of a node has changed.
        """
        shown = self.show(name)
        past, record = shown.run, shown.run.record
        if past.outputs is None:
            raise RunError(f"Run {record.run} has no outputs that a replay could repeat: it is {past.status}.")
        agent = Graph.of(recorded_graph(record))
        with History(self.path) as history:
            calls = history.calls(record.run)
        with closing(RecordedAnswers(self.path, record.run, calls)) as answers:
            result = await agent.run(replay_deps(agent.spec, record, answers), on_event=on_event, **record.inputs)
        return Replayed(replace(result, usage=shown.usage, saved=shown.saved), differences(past.outputs, result.outputs))

    async def fork(self, name: str, changes: Changes = NOTHING, on_event: OnEvent | None = None) -> Result:
        """Run a varied copy of a run: what its parent was answered is taken over, only other calls are made and paid.

        Raises:
            SpecError: The graph is wrong, or a setting is.
            InputError: An input is missing or wrong.
            RunError, StoreError, SettingsError, CatalogueError: As from `Graph.run`.
        """
        parent = self.find(name).record
        agent, record = varied(parent, changes, self._step(parent.run, changes.at))
        async with self._opened(agent, record) as deps:
            return await agent.run(deps, on_event=on_event, **record.inputs)

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
            _write_lines(target, export_lines(self.path, runs))
        else:
            export_cassette(self.path, runs, target)
        return runs

    def prune(
        self,
        older_than: timedelta | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        *,
        unfinished: bool = False,
        dry: bool = False,
    ) -> Deleted:
        """Delete runs, oldest first, and give their space back; see `agentrag.journal.retention.delete_runs`.

        Args:
            older_than: Those that were last worked on longer ago.
            keep: All that ended but so many, the newest.
            max_bytes: Those that ended, until what is left takes no more.
            unfinished: `older_than` also holds for runs that run or wait for a person.
            dry: Delete nothing; say what would be deleted.
        """
        if not dry:
            return delete_runs(self.path, older_than, keep, max_bytes, include_unfinished=unfinished)
        with TemporaryDirectory() as folder:
            copy = _copied(self.path, Path(folder) / "journal.sqlite")
            return delete_runs(copy, older_than, keep, max_bytes, include_unfinished=unfinished)

    @asynccontextmanager
    async def _opened(self, graph: Graph, record: RunRecord) -> AsyncIterator[Deps]:
        """The back ends that a run was started with, and this journal."""
        models, collections = (record.options.get(kind, {}) for kind in ("models", "collections"))
        origin = Origin(record.ref, record.options, record.parent, record.cut)
        with closing(SqliteJournal(self.path)) as journal:
            async with open_deps(graph, self.settings, models=models, collections=collections, journal=journal) as deps:
                yield replace(deps, run=record.run, tenant=record.tenant, origin=origin)

    def _recorded(self, name: str) -> Result:
        """The result of a finished run."""
        shown = self.show(name)
        past = shown.run
        if past.outputs is None:
            raise RunError(f"Run {past.record.run} has finished and left no outputs: it was recorded call by call only.")
        return Result(past.record.run, recorded_outputs(past), {}, shown.usage, shown.saved, past.seconds)

    def _step(self, run: str, at: str | None) -> str | None:
        """Path of the step that `at` names by its path, or as the node that runs there first."""
        if at is None:
            return None
        with History(self.path) as history:
            steps = history.steps(run)
        first = next((step.step for step in steps if at in (step.node, node_of(step.step))), None)
        return first or at


def _settle(journal: Journal, record: RunRecord, decisions: Mapping[str, Any]) -> None:
    """Keep decisions of people; the run is begun first, so that it counts as unfinished whatever happens next."""
    if decisions:
        journal.begin(record)
    for step, decision in decisions.items():
        journal.settle(record.run, step, decision)


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
