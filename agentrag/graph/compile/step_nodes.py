"""The steps of a flow as LangGraph nodes. What a step does is in `agentrag.graph.flow`; here is how its state travels."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.errors import GraphBubbleUp

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError
from agentrag.core.events import ChoiceMade, LoopFinished, RunFinished, RunStarted
from agentrag.graph.compile.state import ABSENT, NOW, RUN, Lap, Ledger, changes, channels_in, laps_in
from agentrag.graph.compile.task import given, run_id, with_answers
from agentrag.graph.flow.choose import Branching
from agentrag.graph.flow.frame import Frame, Op, Returned, Rounds, Sequence
from agentrag.graph.flow.program import Program
from agentrag.graph.flow.repeat import Loop, Round, better
from agentrag.graph.interpreter import Recorder, record_of

Laps = Mapping[str, Lap]
Writes = dict[str, Any]


@dataclass(frozen=True)
class Here:
    """Where in the flow a step stands.

    Attributes:
        path: As in the journal, but without the numbers of rounds.
        loops: Paths of the loops around it, outermost first.
    """

    path: str
    loops: tuple[str, ...] = ()

    def below(self, part: str) -> Here:
        """A place inside."""
        return Here(self.path + part, self.loops)

    @property
    def inside(self) -> Here:
        """The place of a loop, as its own steps see it."""
        return Here(self.path, (*self.loops, self.path))

    @property
    def key(self) -> str:
        """The state key of a loop that stands here."""
        return f"{self.path}.lap"

    def where(self, laps: Laps) -> str:
        """The path with the numbers of the present rounds."""
        path = self.path
        for loop in reversed(self.loops):
            path = f"{loop}#{_lap(laps, loop).number}{path[len(loop) :]}"
        return path

    def rounds(self, laps: Laps) -> Rounds:
        """The complete rounds of the innermost loop."""
        return tuple(_lap(laps, self.loops[-1]).rounds) if self.loops else ()


def _lap(laps: Laps, loop: str) -> Lap:
    # who jumps into a loop with update_state is in its first round
    return laps.get(Here(loop).key, Lap())


class LangGraphNode(Runnable[Mapping[str, Any], Writes]):
    """A node that can be awaited; `invoke` runs it in an event loop of its own."""

    def invoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> Writes:  # noqa: A002
        """Run in an event loop of its own."""
        return asyncio.run(self.ainvoke(input, config))

    @abstractmethod
    async def ainvoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> Writes:  # noqa: A002
        """Run on the LangGraph state and return what to write to it."""


@dataclass(frozen=True)
class Begin(LangGraphNode):
    """The first node: checks the inputs and takes away what the run before left in the thread."""

    program: Program

    async def ainvoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> Writes:  # noqa: A002
        """Begin a run.

        Raises:
            InputError: An input is missing or of the wrong type; nothing has run.
        """
        deps, info = given()
        deps = replace(deps, run=deps.run or run_id(info))
        if deps.purse is not None or deps.origin.options.get("budget"):
            raise InputError("A graph that is exported step by step keeps no budget; run it whole, without steps=True.")
        state = self.program.entered(_inputs(self.program, input))
        _open(self.program, state, deps)
        return changes(input, state) | {RUN: deps.run, NOW: Ledger()}


@dataclass(frozen=True)
class Step(ABC):
    """What a node does between two checkpoints."""

    here: Here

    @abstractmethod
    async def run(self, state: State, laps: Laps, deps: Deps) -> Writes:
        """What to write after the step.

        Raises:
            Returned: The graph ends here.
            RunError: The step failed.
        """

    def frame(self, laps: Laps, deps: Deps) -> Frame:
        """What the step shares with others of its round."""
        return Frame(deps, self.here.rounds(laps), through=(GraphBubbleUp,))


@dataclass(frozen=True)
class Plain(Step):
    """A step as it is, with all that is in it."""

    op: Op

    async def run(self, state: State, laps: Laps, deps: Deps) -> Writes:
        return changes(state, await self.op.run(state, self.frame(laps, deps), self.here.where(laps)))


@dataclass(frozen=True)
class Choice(Step):
    """A `choose` tells the branch; the edge behind it, which sees the same state, takes it."""

    op: Branching

    async def run(self, state: State, laps: Laps, deps: Deps) -> Writes:
        place = self.here.where(laps)
        _, told, _ = self.op.taken(state, self.here.rounds(laps), place)
        deps.listen(ChoiceMade(place, told))
        return {}

    def route(self, values: Mapping[str, Any]) -> str:
        """The branch for a LangGraph state."""
        laps = laps_in(values)
        return self.op.taken(channels_in(values), self.here.rounds(laps), self.here.where(laps))[0]


@dataclass(frozen=True)
class Enter(Step):
    """The beginning of a loop."""

    op: Loop

    async def run(self, state: State, laps: Laps, deps: Deps) -> Writes:
        return changes(state, self.op.entered(state)) | {self.here.key: Lap()}


@dataclass(frozen=True)
class Judge(Step):
    """The end of a round.

    Attributes:
        measured: The channels that measures inside the loop look at, of which earlier rounds are kept.
    """

    op: Loop
    measured: frozenset[str]

    async def run(self, state: State, laps: Laps, deps: Deps) -> Writes:
        lap, place, key = _lap(laps, self.here.path), self.here.where(laps), self.here.key
        rounds = self.here.inside.rounds(laps)
        verdict = self.op.judged(state, rounds, place, lap.number)
        deps.listen(verdict.told)
        if verdict.done:
            deps.listen(LoopFinished(place, lap.number, "until", lap.number))
            return {key: ABSENT}
        best = better(lap.best, Round(lap.number, verdict.score, _only(state, self.op.writes)))
        if lap.number < self.op.at_most:
            return {key: Lap(lap.number + 1, [*lap.rounds, _only(state, self.measured)], best)}
        ended = self.op.ended(state, best, place, deps.listen)
        following = isinstance(self.op.exhausted, Sequence)
        return changes(state, ended) | {key: Lap(lap.number, exhausted=True) if following else ABSENT}

    def route(self, values: Mapping[str, Any]) -> str:
        """Where a LangGraph state goes on."""
        lap = values.get(self.here.key)
        if not isinstance(lap, Lap):
            return "done"
        return "exhausted" if lap.exhausted else "again"


@dataclass(frozen=True)
class Between(LangGraphNode):
    """Every node but the first one: a step, as a part of its run."""

    program: Program
    step: Step

    async def ainvoke(self, input: Mapping[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> Writes:  # noqa: A002
        """Do the step. The run ends in the journal where the step ends the graph, fails or waits.

        Raises:
            RunError: No deps were passed, or the step failed.
        """
        deps, info = given()
        began = input.get(RUN) or run_id(info)
        deps = replace(deps, run=deps.run or began)
        if deps.run != began:
            deps = replace(deps, origin=replace(deps.origin, parent=deps.origin.parent or began))
        ledgers = [input[NOW] if NOW in input else self._opened(input, deps)]

        async def work() -> Writes:
            ledger = ledgers.pop() if ledgers else self._opened(input, deps)  # a question, answered now, ended the run
            return await self._run(input, deps, ledger) | {RUN: deps.run, NOW: ledger}

        return await with_answers(work, deps, info)

    def _opened(self, values: Mapping[str, Any], deps: Deps) -> Ledger:
        """Take up the run where LangGraph was invoked to go on."""
        _open(self.program, _inputs(self.program, values), deps)
        return Ledger()

    async def _run(self, values: Mapping[str, Any], deps: Deps, ledger: Ledger) -> Writes:
        recorder = Recorder(deps.journal, deps.run, deps.listen, (GraphBubbleUp,), ledger.paid, ledger.saved)
        with ExitStack() as ending:
            ending.push(recorder)
            try:
                wrote = await self.step.run(channels_in(values), laps_in(values), replace(deps, listen=recorder.listen))
            except Returned as returned:
                recorder.outputs, end = returned.outputs, dict(returned.state)
            else:
                ending.pop_all()  # the run goes on
                return wrote
        outputs = dict(recorder.outputs)
        deps.listen(RunFinished(deps.run, outputs, end, ledger.paid, ledger.saved))
        return outputs


def _inputs(program: Program, values: Mapping[str, Any]) -> dict[str, Any]:
    return _only(values, frozenset(program.spec.inputs))


def _open(program: Program, inputs: State, deps: Deps) -> None:
    deps.journal.begin(record_of(program, inputs, deps))
    deps.listen(RunStarted(deps.run, program.spec.name))


def _only(state: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in names}
