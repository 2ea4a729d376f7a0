"""What can be done with recorded runs: go on with them, answer them, repeat them for nothing, look back, vary them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from agentrag.app import Graph, Result
from agentrag.back_ends import open_deps
from agentrag.core.deps import Deps, Origin
from agentrag.core.errors import Question, RunBusyError, RunError, StoreError, unknown
from agentrag.core.events import Event
from agentrag.core.ports import Journal, RunRecord
from agentrag.graph.recorded.answers import (
    kept,
    open_questions,
    pause_of,
    refuse_answered,
    refuse_wrong_settlements,
    reply_to,
)
from agentrag.graph.recorded.moments import Course, UpToTheEnd, course_of
from agentrag.graph.recorded.replaying import RecordedAnswers, differences, replay_deps
from agentrag.graph.recorded.sources import recorded_graph, recorded_outputs, refuse_changed
from agentrag.journal.lookup import nearest
from agentrag.journal.recall import covers
from agentrag.journal.sqlite import SqliteJournal
from agentrag.journal.steps import node_of
from agentrag.recorded import RecordedRuns, Shown
from agentrag.variation import Changes, current_graph, varied

__all__ = ["Changes", "Replayed", "Runs", "Shown"]

NOTHING = Changes()
OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: its result, which tells what the run had cost, and what differs from the record.

    `differs` holds (recorded, replayed) as JSON data by output; it is empty where the replay says what the run said.
    """

    result: Result
    differs: Mapping[str, tuple[Any, Any]]


class Runs(RecordedRuns):
    """The runs that a journal holds, and what can be done with them. A run is named as in `RecordedRuns`.

    >>> from pathlib import Path
    >>> Runs(journal=Path("no-such-journal.sqlite")).find("last")
    Traceback (most recent call last):
    agentrag.core.errors.StoreError: Journal no-such-journal.sqlite is not there.
    """

    def answer(self, name: str, pause: str | None, value: Any) -> Mapping[str, Question]:
        """Keep a person's answer to an open question, once; what is still open then. `resume` goes on with the run.

        No model and no collection is opened, and the graph is not read: it may have changed since.

        Args:
            name: The run.
            pause: The step that asks; may be None where one question is open.
            value: One of the choices; JSON data, where the question has a schema; else a text.

        Raises:
            InputError: It is no answer to the question, which was answered before, or nobody asks.
            RunBusyError: A process works on the run, and went on with that.
        """
        self._answer(name, {pause: value})
        return self.questions(name)

    def _answer(self, name: str, answers: Mapping[str | None, Any]) -> None:
        """Keep answers, all of them or, where one is refused, none."""
        past = self.find(name)
        run = past.record.run
        with self._history() as history:
            settled = history.settled(run)
            questions = open_questions(history.notes(run), settled)
        decided: dict[str, Any] = {}
        for pause, value in answers.items():
            step = pause_of(past, questions, settled, pause)
            decided[step] = kept(questions[step], reply_to(step, questions[step], value), self._clock())
        patience = Retrying(
            retry=retry_if_exception_type(RunBusyError),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        with closing(SqliteJournal(self.path, clock=self._clock)) as journal:
            for step, decision in decided.items():
                if not patience(journal.settle, run, step, decision):  # somebody was quicker
                    refuse_answered(run, {step: journal.settled(run, step)}, step)

    async def resume(
        self,
        name: str,
        *,
        answers: Mapping[str, Any] | str | None = None,
        settle: Mapping[str, Any] | None = None,
        graph: Graph | None = None,
        on_event: OnEvent | None = None,
    ) -> Result:
        """Go on with a run: what it finished is answered from the record and not paid again.

        A finished run is not run again; its result is what was recorded. No other process may still work on the run.

        Args:
            name: The run.
            answers: As from `answer`, by the step that asks; a text alone answers the one question that is open.
            settle: What became of writes in doubt, by idempotency key: `{"redo": True}` or `{"result": JSON data}`.
            graph: The graph of the run, where it was made in Python from nodes that have no registered name.
            on_event: Called with every event.

        Raises:
            ChangedError: The graph, a prompt or the version of a node is not what it was. Answers were kept: a fork has them.
            InputError: An answer is not asked for, was given before, or is none.
            PausedError: The run waits for a person; `questions` says for what.
            RunError, StoreError, SettingsError, CatalogueError: As from `Graph.run`.
        """
        past = self.find(name)
        record = past.record
        with self._history() as history:
            refuse_wrong_settlements(history.in_doubt(record.run), settle or {})
        if answers:
            self._answer(name, {None: answers} if isinstance(answers, str) else {step: answers[step] for step in answers})
        if past.status == "finished":
            return self._recorded(name)
        agent = graph or current_graph(record)
        refuse_changed(record, agent.spec, agent.file)
        async with self._opened(agent, record) as deps:
            _settle(deps.journal, record, settle or {})
            return await agent.run(deps, on_event=on_event, **record.inputs)

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
        with self._history() as history:
            calls = history.calls(record.run)
        with closing(RecordedAnswers(self.path, record.run, calls)) as answers:
            result = await agent.run(replay_deps(agent.spec, record, answers), on_event=on_event, **record.inputs)
        economy = shown.economy
        result = replace(result, usage=shown.usage, saved=shown.saved)
        result = replace(result, limited=economy.limited, degraded=economy.degraded, budget=economy.budget)
        return Replayed(result, differences(past.outputs, result.outputs))

    async def history(self, name: str) -> Course:
        """The steps of a run, in order, with what each wrote and the state after it; nothing is sent and nothing paid.

        A run that failed, waits or was cancelled is followed as far as its record goes.

        Raises:
            SpecError: Its graph cannot be built from the record.
        """
        record = self.find(name).record
        spec = recorded_graph(record)
        with self._history() as history:
            calls = history.calls(record.run)
        with closing(UpToTheEnd(self.path, record.run, calls)) as answers:
            return await course_of(spec, record, answers)

    async def fork(self, name: str, changes: Changes = NOTHING, on_event: OnEvent | None = None) -> Result:
        """Run a varied copy of a run: what its parent was answered is taken over, only other calls are made and paid.

        Raises:
            SpecError: The graph is wrong, or a setting or an edit is.
            InputError: An input is missing or wrong.
            StoreError: The parent did not come to the step `at`.
            RunError, SettingsError, CatalogueError: As from `Graph.run`.
        """
        parent = self.find(name).record
        agent, record = varied(parent, changes, None if changes.at is None else self.step(parent.run, changes.at))
        async with self._opened(agent, record) as deps:
            return await agent.run(deps, on_event=on_event, **record.inputs)

    def step(self, name: str, at: str) -> str:
        """Path of the step that `at` names by its path, or as the node that runs there first.

        Raises:
            StoreError: The run did not come there.
        """
        run = self.find(name).record.run
        with self._history() as history:
            steps = history.steps(run)
            paths = {step.step for step in steps} | {note.step for note in history.notes(run)}
        first = next((step.step for step in steps if at in (step.node, node_of(step.step))), None)
        if first is None and not any(covers(at, path) for path in paths):
            raise StoreError(unknown("step", at, nearest(at, paths)))
        return first or at

    @asynccontextmanager
    async def _opened(self, graph: Graph, record: RunRecord) -> AsyncIterator[Deps]:
        """The back ends that a run was started with, and this journal."""
        models, collections = (record.options.get(kind, {}) for kind in ("models", "collections"))
        origin = Origin(record.ref, record.options, record.parent, record.cut)
        with closing(SqliteJournal(self.path, clock=self._clock)) as journal:
            async with open_deps(
                graph, self.settings, models=models, collections=collections, journal=journal, tenant=record.tenant
            ) as deps:
                yield replace(deps, run=record.run, origin=origin)

    def _recorded(self, name: str) -> Result:
        """The result of a finished run."""
        shown = self.show(name)
        past = shown.run
        if past.outputs is None:
            raise RunError(f"Run {past.record.run} has finished and left no outputs: it was recorded call by call only.")
        economy = shown.economy
        ended = (economy.limited, economy.degraded, economy.budget)
        return Result(past.record.run, recorded_outputs(past), {}, shown.usage, shown.saved, past.seconds, *ended)


def _settle(journal: Journal, record: RunRecord, decisions: Mapping[str, Any]) -> None:
    """Keep decisions of people; the run is begun first, so that it counts as unfinished whatever happens next."""
    if decisions:
        journal.begin(record)
    for step, decision in decisions.items():
        journal.settle(record.run, step, decision)
