"""`parallel`: named branches over one state, and one value per channel of what they wrote."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agentrag.core.budget import Spend
from agentrag.core.channels import Channel, State
from agentrag.core.errors import RunError
from agentrag.graph.flow.budget import Ladder
from agentrag.graph.flow.fanout import Terms, fan_out
from agentrag.graph.flow.frame import Frame, Sequence, parted
from agentrag.graph.values.bounds import bounded
from agentrag.graph.values.joins import Join


@dataclass(frozen=True, slots=True)
class Fork:
    """Run branches at once.

    Attributes:
        joins: The join of each channel that several branches write.
        need, sure, collect: See `agentrag.graph.flow.fanout.Terms`.
        channels: Channels of the graph, for the bounds of joined values.
    """

    branches: Mapping[str, Sequence]
    joins: Mapping[str, Join]
    need: int
    sure: int
    collect: bool
    channels: Mapping[str, Channel]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.parallel"
        written: dict[str, set[str]] = {name: set() for name in self.branches}

        def gave(name: str, end: State) -> dict[str, Any]:
            return {channel: end[channel] for channel in end if channel in written[name]}

        terms = Terms(self.need, self.collect, self.sure, len(self.branches), gave)

        def branch(name: str, inside: Frame) -> Awaitable[State]:
            return self.branches[name].run(state, replace(inside, wrote=written[name]), f"{place}.{name}")

        def needs(ladder: Ladder) -> list[Spend]:
            return [ladder.through(f"{place}.{name}") for name in self.branches]

        with parted(frame, list(self.branches), needs, place, wanted=not self.collect) as parts:
            jobs = {name: parts.job(name, partial(branch, name)) for name in self.branches}
            ends = await fan_out(jobs, terms, frame, place)
            parts.done = ends
        given: dict[str, list[Any]] = {}
        for name, end in ends.items():
            for channel, value in gave(name, end).items():
                given.setdefault(channel, []).append(value)
        frame.note(given)
        return {**state, **{name: self._joined(name, values, place) for name, values in given.items()}}

    def _joined(self, name: str, values: list[Any], place: str) -> Any:
        if name not in self.joins:
            return values[0]
        try:
            return bounded(self.channels[name], self.joins[name].merge(values))
        except RunError as error:
            raise RunError(f"Step {place}: channel '{name}': {error}") from error
