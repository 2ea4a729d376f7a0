"""Runs a flow: one step after the other over an immutable state, told event by event. Knows nothing of LangGraph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import AgentRagError, NodeError, RunError
from agentrag.core.events import CallFinished, ChoiceMade, Event, RunFinished, RunStarted, StepFinished, StepStarted
from agentrag.core.types import Message, Passage, Usage
from agentrag.graph.channels import channels_of
from agentrag.graph.expressions import Expression, compile_expression
from agentrag.graph.inputs import checked_inputs
from agentrag.graph.spec import Choose, GraphSpec, Step, When


@dataclass(frozen=True)
class Program:
    """A graph ready to run: what is the same for all of its runs."""

    spec: GraphSpec
    channels: Mapping[str, Channel]
    writes: Mapping[str, frozenset[str]]
    conditions: Mapping[str, Expression]

    @classmethod
    def of(cls, spec: GraphSpec) -> Program:
        """Compile the conditions of a checked graph."""
        channels = channels_of(spec)
        conditions = {text: compile_expression(text, channels) for text in _conditions(spec.flow)}
        return cls(spec, channels, {name: item.writes() for name, item in spec.nodes.items()}, conditions)


def _conditions(steps: tuple[Step, ...]) -> set[str]:
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Choose):
            for branch in step.choose:
                if isinstance(branch, When):
                    found |= {branch.when} | _conditions(branch.do)
                else:
                    found |= _conditions(branch.otherwise)
    return found


async def execute(program: Program, inputs: Mapping[str, Any], deps: Deps) -> dict[str, Any]:
    """Run a graph once and return its outputs. `deps.listen` hears every event, `RunFinished` last.

    Raises:
        InputError: An input is missing, unknown or of the wrong type; nothing has run.
        NodeError: A node failed; the cause is chained.
        RunError: A condition has no value.
    """
    spec = program.spec
    state = checked_inputs(spec, inputs)
    state = {name: bounded(program.channels[name], value) for name, value in state.items()}
    ledger = _Ledger()
    run, tell = deps.run or uuid4().hex, deps.listen

    def listen(event: Event) -> None:
        ledger.add(event)
        tell(event)

    listen(RunStarted(run, spec.name))
    end = await _Run(program, replace(deps, run=run, listen=listen)).sequence(spec.flow, state, "flow")
    outputs = {name: end[name] for name in spec.outputs}
    listen(RunFinished(run, outputs, dict(end), ledger.paid, ledger.saved))
    return outputs


@dataclass
class _Ledger:
    """What calls cost, by node."""

    paid: dict[str, Usage] = field(default_factory=dict)
    saved: dict[str, Usage] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        if isinstance(event, CallFinished):
            self.paid[event.node] = self.paid.get(event.node, Usage()) + event.usage
            self.saved[event.node] = self.saved.get(event.node, Usage()) + event.saved


@dataclass(frozen=True)
class _Run:
    program: Program
    deps: Deps

    async def sequence(self, steps: tuple[Step, ...], state: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        """The state after the steps; `where` is their path."""
        for index, step in enumerate(steps):
            if isinstance(step, Choose):
                state = await self.choose(step, state, f"{where}.{index}.choose")
            else:
                state = await self.node(step, state, f"{where}.{index}:{step}")
        return state

    async def choose(self, step: Choose, state: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        for index, branch in enumerate(step.choose):
            if not isinstance(branch, When):
                self.deps.listen(ChoiceMade(where, "otherwise"))
                return await self.sequence(branch.otherwise, state, f"{where}.otherwise")
            if self._holds(branch.when, state, where):
                self.deps.listen(ChoiceMade(where, branch.when))
                return await self.sequence(branch.do, state, f"{where}.{index}")
        return state

    def _holds(self, condition: str, state: Mapping[str, Any], where: str) -> bool:
        try:
            return self.program.conditions[condition](state)
        except RunError as error:
            raise RunError(f"Step {where}: {error}") from error

    async def node(self, name: str, state: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        listen = self.deps.listen
        listen(StepStarted(where, name))
        begun = perf_counter()
        try:
            given = await self.program.spec.nodes[name](MappingProxyType(state), self.deps.at(where, name))
            wrote = self._merged(name, given, state)
        except NodeError:
            raise
        except Exception as error:
            cause = _first(error)
            raise NodeError(name, where, _reason(cause)) from cause
        listen(StepFinished(where, name, wrote, perf_counter() - begun))
        return {**state, **wrote}

    def _merged(self, name: str, given: State, state: Mapping[str, Any]) -> dict[str, Any]:
        declared = self.program.writes[name]
        if given.keys() != declared:
            raise RunError(_undeclared(given.keys() - declared, declared - given.keys()))
        channels = self.program.channels
        return {channel: merge(channels[channel], state.get(channel), value) for channel, value in given.items()}


def merge(channel: Channel, old: Any, new: Any) -> Any:
    """The value of a channel after a write. For "append_new", passages are the same when collection and id are.

    >>> merge(Channel(list[str], merge="append_new", max=3), ["a", "b"], ["b", "c", "d"])
    ['a', 'b', 'c']
    """
    if channel.merge == "append_new" and old is not None:
        known = [_identity(item) for item in old]
        new = [*old, *(item for item in new if _identity(item) not in known)]
    return bounded(channel, new)


def bounded(channel: Channel, value: Any) -> Any:
    """The value within the channel's bound: of a conversation the latest turns are kept, of other lists the first items."""
    if channel.max is None or not isinstance(value, list | tuple) or len(value) <= channel.max:
        return value
    return value[-channel.max :] if isinstance(value[0], Message) else value[: channel.max]


def _identity(item: Any) -> Any:
    return (item.collection, item.id) if isinstance(item, Passage) else item


def _undeclared(extra: Any, missing: Any) -> str:
    parts = [f"it wrote '{name}', which its writes() does not name" for name in sorted(extra)]
    parts += [f"it did not write '{name}', which its writes() names" for name in sorted(missing)]
    return "; ".join(parts)


def _first(error: Exception) -> Exception:
    """The error itself, or the first one in a group: who catches it looks for its type."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, AgentRagError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
