"""`parallel`: named branches over one state, and one value per channel of what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentrag.core.channels import Channel, State
from agentrag.core.errors import RunError
from agentrag.graph.flow.fanout import Terms, fan_out
from agentrag.graph.flow.frame import Frame, Sequence
from agentrag.graph.values.bounds import bounded
from agentrag.graph.values.joins import Join


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and the channels that it writes: in any case, and perhaps."""

    steps: Sequence
    always: frozenset[str]
    perhaps: frozenset[str]

    def wrote(self, before: State, after: State) -> dict[str, Any]:
        """What it wrote, by channel; of what it may have written, what is another object than before."""
        return {
            name: after[name]
            for name in self.perhaps
            if name in after and (name in self.always or name not in before or after[name] is not before[name])
        }


@dataclass(frozen=True, slots=True)
class Fork:
    """Run branches at once.

    Attributes:
        joins: The join of each channel that several branches write.
        need, sure, collect: See `agentrag.graph.flow.fanout.Terms`.
        channels: Channels of the graph, for the bounds of joined values.
    """

    branches: Mapping[str, Branch]
    joins: Mapping[str, Join]
    need: int
    sure: int
    collect: bool
    channels: Mapping[str, Channel]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.parallel"
        jobs = {name: partial(branch.steps.run, state, frame, f"{place}.{name}") for name, branch in self.branches.items()}
        terms = Terms(self.need, self.collect, self.sure, len(jobs), lambda name, end: self.branches[name].wrote(state, end))
        ends = await fan_out(jobs, terms, frame, place)
        given: dict[str, list[Any]] = {}
        for name, end in ends.items():
            for channel, value in self.branches[name].wrote(state, end).items():
                given.setdefault(channel, []).append(value)
        return {**state, **{name: self._joined(name, values, place) for name, values in given.items()}}

    def _joined(self, name: str, values: list[Any], place: str) -> Any:
        if name not in self.joins:
            return values[0]
        try:
            return bounded(self.channels[name], self.joins[name].merge(values))
        except RunError as error:
            raise RunError(f"Step {place}: channel '{name}': {error}") from error
