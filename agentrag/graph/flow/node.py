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

from agentrag.core.account import Account
from agentrag.core.channels import Channel, State
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
from agentrag.graph.flow.budget import Means
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
        where = f"{where}:{self.name}"
        op = self
        if frame.means is not None:
            op, frame = self._afforded(frame.means, state, frame, where)
        name = frame.prefix + self.name
        listen = frame.deps.listen
        listen(StepStarted(where, name))
        begun = perf_counter()
        try:
            wrote = op._merged(await op._attempts(state, frame, where), state)
        except Exception as error:
            cause = first_of(error)
            if isinstance(cause, (*FINAL, *frame.through)):
                raise cause from cause.__cause__
            listen(StepFailed(where, name, reason_of(cause), perf_counter() - begun))
            if (refused := _refusal_in(cause)) is not None:
                keep_refused(frame.deps.journal, frame.deps.run, where, refused)
                raise refused from refused.__cause__
            raise NodeError(name, where, reason_of(cause)) from cause
        frame.note(wrote)
        listen(StepFinished(where, name, wrote, perf_counter() - begun))
        return {**state, **wrote}

    def _afforded(self, means: Means, state: State, frame: Frame, where: str) -> tuple[RunNode, Frame]:
        """The node and its back ends as the ladder has them, after what the node needs was looked at.

        Raises:
            BudgetError: The budget ended it before the run was resumed.
        """
        raise_refused(frame.deps.journal, frame.deps.run, where, where)
        means.checked(frame.deps, lambda ladder: ladder.ahead().node(self.name, state), where)
        item = means.ladder.ahead().spec.nodes[self.name]
        op = self if item is self.node else replace(self, node=item)
        return op, replace(frame, deps=means.ladder.bound(frame.deps))

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
                    await asyncio.sleep(_wait(cause, attempt, deps.account))
            deps.listen(AttemptFailed(where, frame.prefix + self.name, attempt, failed["failed"]))
        return await self._once(state, frame, _attempt(where, node.retry + 1))

    async def _once(self, state: State, frame: Frame, place: str) -> State:
        node, deps = self.node, frame.deps.at(place, frame.prefix + self.name, self.node.out)
        account = deps.account
        seconds = node.timeout if account is None else min(node.timeout, max(0.0, account.time_left))
        try:
            async with asyncio.timeout(seconds) as limit:
                return await node(MappingProxyType(state), deps)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if account is not None and seconds < node.timeout:
                most = account.limits.seconds
                raise BudgetError("seconds", None if most == inf else most, account.scope, place) from error
            raise TimeoutError(f"it took longer than {node.timeout:g} s") from error
        finally:
            if account is not None:
                await deps.land()

    def _merged(self, given: State, state: State) -> dict[str, Any]:
        targets = self.targets
        if given.keys() != targets.keys():
            raise RunError(_undeclared(given.keys() - targets.keys(), targets.keys() - given.keys()))
        wrote = {}
        for raw, value in given.items():
            name, channel = targets[raw]
            wrote[name] = merge(channel, state.get(name), value)
        return wrote


def _refusal_in(error: BaseException) -> BudgetError | None:
    """The refusal that an error is, or that a node made another error of."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, BudgetError):
        seen = seen.__cause__
    return seen


def _attempt(where: str, number: int) -> str:
    return where if number == 1 else f"{where}~{number}"


def may_pass(error: BaseException) -> bool:
    """Whether the same attempt may end well later: a time-out, a broken connection, what a model's server calls passing."""
    return isinstance(error, TimeoutError | ConnectionError) or bool(getattr(error, "retryable", False))


def _wait(error: BaseException, attempt: int, account: Account | None) -> float:
    """Seconds before the next attempt: what the server asked for, else a random time whose bound doubles from 1 to 8 s."""
    asked = error.retry_after if isinstance(error, ModelError) else None
    wait = min(RETRY_WAIT, random.uniform(0, min(8.0, 0.5 * 2**attempt)) if asked is None else asked)
    return wait if account is None else min(wait, max(0.0, account.time_left))


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
