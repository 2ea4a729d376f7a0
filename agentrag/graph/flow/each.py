"""`each`: the same steps for every item of a list."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from collections.abc import Sequence as Listed
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agentrag.core.budget import Spend
from agentrag.core.channels import Channel, State
from agentrag.core.events import ItemsCut
from agentrag.graph.flow.budget import Ladder
from agentrag.graph.flow.fanout import Terms, fan_out
from agentrag.graph.flow.frame import Frame, Sequence, parted
from agentrag.graph.values.bounds import merge, without_repeats


@dataclass(frozen=True, slots=True)
class Collected:
    """A channel of an item and the channel outside that its values go to; `flat` joins lists to one list."""

    source: str
    target: str
    channel: Channel
    flat: bool


@dataclass(frozen=True, slots=True)
class Map:
    """Run steps for each item of a list.

    Attributes:
        items: The list channel.
        item: The channel that holds the item.
    """

    items: str
    item: str
    do: Sequence
    collected: tuple[Collected, ...]
    at_most: int
    concurrency: int
    collect_errors: bool

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.each"
        items: Listed[Any] = state[self.items]
        if len(items) > self.at_most:
            frame.deps.listen(ItemsCut(place, len(items), self.at_most))
            items = items[: self.at_most]
        count, names = len(items), [str(index) for index in range(len(items))]

        def one(name: str, inside: Frame) -> Awaitable[State]:
            return self.do.run({**state, self.item: items[int(name)]}, replace(inside, wrote=None), f"{place}[{name}]")

        def needs(ladder: Ladder) -> list[Spend]:
            return [ladder.through(place)] * count

        with parted(frame, names, needs, place, wanted=not self.collect_errors) as parts:
            jobs = {name: parts.job(name, partial(one, name)) for name in names}
            ends = await fan_out(jobs, self._terms(count), frame, place) if jobs else {}
            parts.done = ends
        gathered = self._gathered(state, list(ends.values()))
        frame.note(gathered)
        return {**state, **gathered}

    def _terms(self, count: int) -> Terms:
        sure = 1 if self.collect_errors else count
        return Terms(count, self.collect_errors, sure, self.concurrency, lambda _, end: self._gave(end))

    def _gave(self, end: State) -> dict[str, Any]:
        return {each.source: end[each.source] for each in self.collected}

    def _gathered(self, state: State, ends: Listed[State]) -> Mapping[str, Any]:
        wrote = {}
        for each in self.collected:
            values = [end[each.source] for end in ends]
            value = without_repeats(item for part in values for item in part) if each.flat else values
            wrote[each.target] = merge(each.channel, state.get(each.target), value)
        return wrote
