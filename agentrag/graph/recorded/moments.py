"""The state after every step of a recorded run, found by running its graph again against the record alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from agentrag.core.calls import OutwardCall
from agentrag.core.channels import State
from agentrag.core.errors import AgentRagError, ReplayError
from agentrag.core.ports import Codec, Recorded, RunRecord
from agentrag.graph.flow.choose import Branching
from agentrag.graph.flow.each import Map
from agentrag.graph.flow.frame import Frame, Op, Returned, Sequence
from agentrag.graph.flow.node import RunNode, first_of
from agentrag.graph.flow.other import Ask, End, Nested
from agentrag.graph.flow.parallel import Fork
from agentrag.graph.flow.program import Program
from agentrag.graph.flow.repeat import Loop
from agentrag.graph.interpreter import execute
from agentrag.graph.recorded.replaying import RecordedAnswers, replay_deps
from agentrag.graph.spec import GraphSpec
from agentrag.journal.past import PastCall

T = TypeVar("T")
_WORDS: Mapping[type, str] = {
    Branching: ".choose",
    Loop: ".repeat",
    Fork: ".parallel",
    Map: ".each",
    Nested: ".graph",
    Ask: ".ask_human",
    End: ".return",
}
_QUIET = 0.05
"""Seconds in which other branches, whose calls the record answers at once, show that they go on."""


@dataclass(frozen=True)
class Moment:
    """The end of a step.

    Attributes:
        step: Its path in the run.
        node: Name of the node, with the names of the graphs around it; "" of other steps.
        wrote: The channels that it changed, with their values.
        lost: Channels that it took the values of away.
        state: All channels after it, as the step that follows sees them.
    """

    step: str
    node: str
    wrote: Mapping[str, Any]
    lost: tuple[str, ...]
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """The steps of a run.

    Attributes:
        start: The state that it began with.
        moments: The ends of its steps, a step after those inside it.
        ended: Why it has no more steps: the error at which the record ends; "" where the run came to its end.
    """

    start: Mapping[str, Any]
    moments: tuple[Moment, ...]
    ended: str


async def course_of(spec: GraphSpec, record: RunRecord, answers: UpToTheEnd) -> Course:
    """The steps of a run as far as its record goes. Nothing is sent and nothing is paid.

    Args:
        spec: The graph, as it was.
        record: How the run began.
        answers: What was recorded of it.
    """
    moments: list[Moment] = []
    program = _watched(Program.of(spec), moments.append)
    ended = ""
    try:
        await execute(program, record.inputs, replay_deps(spec, record, answers))
    except AgentRagError as error:
        ended = " ".join(str(first_of(error)).split())
    return Course(program.entered(record.inputs), tuple(moments), ended)


class UpToTheEnd(RecordedAnswers):
    """Answers a run's calls from its record; where that ends, branches that it still answers may come as far as it goes.

    Args:
        source: The journal's file.
        run: Id of the recorded run.
        calls: Its calls.
    """

    def __init__(self, source: Path, run: str, calls: Iterable[PastCall]) -> None:
        super().__init__(source, run, calls)
        self._answered = 0

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record; `work` is never called.

        Raises:
            ReplayError: The record has no answer, and answers nobody else any more.
        """
        try:
            recorded = await super().call(call, work, codec)
        except ReplayError:
            seen = -1
            while seen < self._answered:
                seen = self._answered
                await asyncio.sleep(_QUIET)
            raise
        self._answered += 1
        return recorded


@dataclass(frozen=True, slots=True)
class _Watched:
    """A step whose end is told."""

    op: Op
    tell: Callable[[Moment], None]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        node = self.op.name if isinstance(self.op, RunNode) else ""
        step = f"{where}:{node}" if node else where + _WORDS.get(type(self.op), "")
        try:
            after = await self.op.run(state, frame, where)
        except Returned as returned:
            if isinstance(self.op, End):
                self.tell(Moment(step, "", returned.outputs, (), dict(returned.state)))
            raise
        wrote = {name: value for name, value in after.items() if name not in state or value is not state[name]}
        if isinstance(self.op, RunNode):
            wrote |= {name: after[name] for name, _ in self.op.targets.values()}
        lost = tuple(name for name in state if name not in after)
        self.tell(Moment(step, frame.prefix + node if node else "", wrote, lost, dict(after)))
        return after


def _watched(part: Any, tell: Callable[[Moment], None]) -> Any:
    """A program, or a part of one, whose steps tell their ends."""
    if isinstance(part, Sequence):
        return Sequence(tuple(_Watched(_watched(op, tell), tell) for op in part.ops))
    if isinstance(part, tuple):
        return tuple(_watched(item, tell) for item in part)
    if isinstance(part, Program):
        return replace(part, flow=_watched(part.flow, tell))
    if isinstance(part, Fork):
        return replace(part, branches={name: _watched(steps, tell) for name, steps in part.branches.items()})
    if type(part) in _WORDS and is_dataclass(part):
        found = {field.name: getattr(part, field.name) for field in fields(part)}
        changed = {name: value for name, old in found.items() if (value := _watched(old, tell)) is not old}
        return replace(part, **changed)  # type: ignore[type-var]  # it is no type
    return part
