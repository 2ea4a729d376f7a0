"""What is needed next while a run lasts: by the next step, and on the cheapest way from there to the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

from agentrag.core.budget import NOTHING, Rate, Spend
from agentrag.core.channels import Channel, State
from agentrag.core.metering import BYTES_A_TOKEN, MESSAGE_TOKENS
from agentrag.core.node import Node
from agentrag.core.sizes import LABEL_BYTES, Scale, Size, Sizes
from agentrag.graph.planning.amounts import Amount, Bill, lined
from agentrag.graph.planning.cases import EMBED_SECONDS, OTHER_SECONDS, SEARCH_SECONDS, USUAL_ANSWER, Worst
from agentrag.graph.planning.prices import Price
from agentrag.graph.planning.spots import Reached, Spot
from agentrag.graph.planning.values import measured, usual, usual_input
from agentrag.graph.planning.walk import Walk
from agentrag.graph.spec import GraphSpec, InputSpec
from agentrag.graph.steps import RepeatSpec

_NUMBERS = re.compile(r"[#\[]\d+\]?")
RECKONED = Scale(BYTES_A_TOKEN, 4, LABEL_BYTES, MESSAGE_TOKENS, MESSAGE_TOKENS)
"""As prompts are reckoned when a call is set aside for."""


class Cheapest(Worst):
    """Calls end well at once; of several ways the cheapest is taken, number by number.

    Loops have one round, since they can be ended after it; all branches and items are counted, since they all begin. Lists
    are as long as they may be, so that calls and passages are bounds; texts are as long as they usually are.
    """

    scale = RECKONED

    def node(self, item: Node, sizes: Sizes, prices: Sequence[Rate]) -> Amount:
        calls = item.cost(sizes)
        tokens = calls.prompt, calls.completion
        usd = max((price.usd(*tokens) for price in prices), default=0.0)
        written = USUAL_ANSWER * calls.completion
        asking = max((price.seconds(calls.model, calls.prompt, written) for price in prices), default=0.0)
        others = calls.search * SEARCH_SECONDS + calls.embed * EMBED_SECONDS + calls.other * OTHER_SECONDS
        return Amount(1, calls.total, calls.passages, *tokens, usd, min(item.timeout, asking + others))

    def either(self, bills: Sequence[Bill]) -> Bill:
        return Bill(lined(min, bills))

    def rounds(self, loop: RepeatSpec) -> int:
        return 1

    def entry(self, channel: Channel, declared: InputSpec, given: Size | None) -> Size:
        return _usually(super().entry(channel, declared, given), usual_input(channel, declared))

    def value(self, channel: Channel, limit: Size | None = None) -> Size:
        return _usually(super().value(channel, limit), usual(channel))


def _usually(most: Size, size: Size) -> Size:
    return Size(most.items, min(most.bytes, size.bytes), most.whole)


@dataclass(frozen=True)
class _Noting(Walk):
    """A walk that remembers what the steps of the outermost graph cost, by path."""

    seen: dict[str, Spend] = field(default_factory=dict)

    def met(self, where: str, reached: Reached) -> None:
        known = self.seen.get(where, NOTHING)
        self.seen[where] = Spend(*map(max, known, _spend(self.whole(reached).total)))


@dataclass(frozen=True)
class Ahead:
    """What the steps of a graph need, with some rungs of its ladder taken.

    Attributes:
        spec: The graph so.
        rates: What its models cost, by slot.
        least: The cheapest way through a step, a round, an item or all branches, by path without rounds and items.
        sums: What was added up of it.
    """

    spec: GraphSpec
    rates: Mapping[str, Rate]
    least: Mapping[str, Spend]
    sums: dict[tuple[str, int, int], Spend] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: GraphSpec, rates: Mapping[str, Rate]) -> Ahead:
        """Go through a graph once. Cost: some milliseconds."""
        prices = cast("Mapping[str, Price]", rates)  # the walk asks no more of a price than a rate can say
        walk = _Noting.of(spec, Cheapest(), prices, "", {})
        walk.graph(Spot("flow", ("flow",)), {})
        return cls(spec, rates, walk.seen)

    def through(self, where: str) -> Spend:
        """The cheapest way through what stands at a path of a run, which begins at the graph's own flow."""
        if "#" in where or "[" in where:
            where = _NUMBERS.sub("", where)
        return self.least.get(where, NOTHING)

    def along(self, where: str, first: int, last: int) -> Spend:
        """The cheapest way through the steps `first` up to and without `last` of the flow at a path of a run."""
        where = _NUMBERS.sub("", where)
        known = self.sums.get((where, first, last))
        if known is None:
            steps = (self.least.get(f"{where}.{index}", NOTHING) for index in range(first, last))
            known = self.sums[where, first, last] = reduce(Spend.plus, steps, NOTHING)
        return known

    def node(self, name: str, state: State) -> Spend:
        """What a node costs at most when it runs now, if its calls end well at once."""
        item = self.spec.nodes[name]
        prices = [self.rates.get(slot, Price()) for _, slot in item.references("model")]
        return _spend(Cheapest().node(item, Sizes(_Measured(state), self.spec.prompts, RECKONED), prices))


def _spend(amount: Amount) -> Spend:
    return Spend(amount.calls, amount.passages, amount.tokens, amount.usd, amount.seconds)


@dataclass(frozen=True)
class _Measured(Mapping[str, Size]):
    """The sizes of the values of a state, measured when they are asked for."""

    state: State

    def __getitem__(self, name: str) -> Size:
        return measured(self.state[name])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)
