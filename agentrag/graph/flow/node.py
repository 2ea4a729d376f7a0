"""A node as a step: attempts, time limit, and how what it wrote becomes state."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter
from types import MappingProxyType
from typing import Any

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import (
    AgentRagError,
    BudgetError,
    InDoubtError,
    ModelError,
    NodeError,
    PausedError,
    ReplayError,
    RunError,
)
from agentrag.core.events import AttemptFailed, StepFailed, StepFinished, StepStarted
from agentrag.core.metering import keep_refused, raise_refused
from agentrag.core.node import Node
from agentrag.graph.flow.frame import Frame
from agentrag.graph.values.bounds import RETRY_WAIT, merge

FINAL = (NodeError, InDoubtError, PausedError, ReplayError)
"""Errors that say all there is to say, or that no further attempt may follow."""


@dataclass(frozen=True, slots=True)
class RunNode:
    """Run a node.

    Attributes:
        name: Its name in the graph.
        targets: By the channel that the node writes, the channel of the graph that it is written to.
    """

    name: str
    node: Node
    targets: Mapping[str, tuple[str, Channel]]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        if frame.means is not None:
            raise_refused(frame.deps.journal, frame.deps.run, f"{where}:{self.name}", f"{where}:{self.name}")
            ladder = frame.means.ladder
            frame.means.checked(frame.deps, lambda rungs: rungs.ahead().node(self.name, state), f"{where}:{self.name}")
            op = replace(self, node=ladder.ahead().spec.nodes[self.name])
            return await op.told(state, replace(frame, deps=ladder.bound(frame.deps)), where)
        return await self.told(state, frame, where)

    async def told(self, state: State, frame: Frame, where: str) -> State:
        """Run the node as it is and tell how it went."""
        where = f"{where}:{self.name}"
        name = frame.prefix + self.name
        listen = frame.deps.listen
        listen(StepStarted(where, name))
        begun = perf_counter()
        try:
            wrote = self._merged(await self._attempts(state, frame, where), state)
        except Exception as error:
            cause = first_of(error)
            if isinstance(cause, (*FINAL, *frame.through)):
                raise cause from cause.__cause__
            listen(StepFailed(where, name, reason_of(cause), perf_counter() - begun))
            if isinstance(cause, BudgetError):
                keep_refused(frame.deps.journal, frame.deps.run, where, cause)
                raise cause from cause.__cause__
            raise NodeError(name, where, reason_of(cause)) from cause
        frame.note(wrote)
        listen(StepFinished(where, name, wrote, perf_counter() - begun))
        return {**state, **wrote}

    async def _attempts(self, state: State, frame: Frame, where: str) -> State:
        """Attempt until one ends well. That one failed before is on record, so a resumed run does not wait for it again."""
        deps, node = frame.deps, self.node
        if not node.retry:
            return await self._once(state, frame, where)
        for attempt in range(1, node.retry + 1):
            place = _attempt(where, attempt)
            failed = deps.journal.settled(deps.run, place)
            if failed is None:
                try:
                    return await self._once(state, frame, place)
                except Exception as error:
                    cause = first_of(error)
                    if not may_pass(cause):
                        raise
                    failed = {"failed": reason_of(cause)}
                    deps.journal.settle(deps.run, place, failed)
                    await asyncio.sleep(min(_wait(cause, attempt), _time_left(deps)))
            deps.listen(AttemptFailed(where, frame.prefix + self.name, attempt, failed["failed"]))
        return await self._once(state, frame, _attempt(where, node.retry + 1))

    async def _once(self, state: State, frame: Frame, place: str) -> State:
        node, deps, seconds = self.node, frame.deps, _time_left(frame.deps)
        try:
            async with asyncio.timeout(min(node.timeout, seconds)) as limit:
                return await node(MappingProxyType(state), deps.at(place, frame.prefix + self.name, node.out))
        except TimeoutError as error:
            if not limit.expired():
                raise
            if seconds < node.timeout and deps.account is not None:
                raise BudgetError("seconds", None, deps.account.scope, place) from error
            raise TimeoutError(f"it took longer than {node.timeout:g} s") from error

    def _merged(self, given: State, state: State) -> dict[str, Any]:
        targets = self.targets
        if given.keys() != targets.keys():
            raise RunError(_undeclared(given.keys() - targets.keys(), targets.keys() - given.keys()))
        wrote = {}
        for raw, value in given.items():
            name, channel = targets[raw]
            wrote[name] = merge(channel, state.get(name), value)
        return wrote


def _time_left(deps: Deps) -> float:
    """Seconds that the budget leaves; infinite where none counts them."""
    return inf if deps.account is None else max(0.0, deps.account.left(deps.hold).seconds)


def _attempt(where: str, number: int) -> str:
    return where if number == 1 else f"{where}~{number}"


def may_pass(error: BaseException) -> bool:
    """Whether the same attempt may end well later: a time-out, a broken connection, what a model's server calls passing."""
    return isinstance(error, TimeoutError | ConnectionError) or bool(getattr(error, "retryable", False))


def _wait(error: BaseException, attempt: int) -> float:
    """Seconds before the next attempt: what the server asked for, else a random time whose bound doubles from 1 to 8 s."""
    asked = error.retry_after if isinstance(error, ModelError) else None
    return min(RETRY_WAIT, random.uniform(0, min(8.0, 0.5 * 2**attempt)) if asked is None else asked)


def first_of(error: BaseException) -> BaseException:
    """The error itself, or the first one in a group: who catches it looks for its type."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """An error in one line, with its type where it is not one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, AgentRagError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _undeclared(extra: Any, missing: Any) -> str:
    parts = [f"it wrote '{name}', which its writes() does not name" for name in sorted(extra)]
    parts += [f"it did not write '{name}', which its writes() names" for name in sorted(missing)]
    return "; ".join(parts)
