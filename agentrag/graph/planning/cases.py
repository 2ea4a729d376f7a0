"""The three cases of a plan: the worst that can happen, the best that can happen, and what is assumed to happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import ceil
from operator import add
from typing import Protocol

from agentrag.core.channels import Channel
from agentrag.core.node import Node
from agentrag.core.sizes import LEAST, MOST, UNBOUNDED, USUAL, Calls, Scale, Size, Sizes
from agentrag.graph.planning.amounts import NOTHING, TOTAL, Amount, Bill, lined
from agentrag.graph.planning.prices import Price
from agentrag.graph.planning.values import most_of_input, narrow, usual, usual_input
from agentrag.graph.spec import InputSpec
from agentrag.graph.steps import EachSpec, ParallelSpec, RepeatSpec
from agentrag.graph.values.bounds import RETRY_WAIT, size_of

SEARCH_SECONDS, EMBED_SECONDS, OTHER_SECONDS = 0.05, 0.1, 1.0
"""Assumed time of one call; of model calls, which are taken to be made one after the other, see `prices.Speed`."""
USUAL_ANSWER = 0.5
"""Assumed share of `max_tokens` that a model writes."""


class Case(Protocol):
    """How costs and sizes are reckoned in a case."""

    scale: Scale

    def node(self, item: Node, sizes: Sizes, prices: Sequence[Price]) -> Amount:
        """What a node costs, with its attempts and those of the clients of its models."""
        ...

    def either(self, bills: Sequence[Bill]) -> Bill:
        """The cost of one of several ways, each weighed."""
        ...

    def weighed(self, bill: Bill, chance: float) -> Bill:
        """The cost of a way that is gone with this chance."""
        ...

    def rounds(self, loop: RepeatSpec) -> int:
        """How many rounds a loop has."""
        ...

    def side_by_side(self, bills: Sequence[Bill], fork: ParallelSpec) -> Bill:
        """The cost of concurrent branches."""
        ...

    def items(self, each: EachSpec, given: Size) -> int:
        """For how many items of a list steps are run."""
        ...

    def entry(self, channel: Channel, declared: InputSpec, given: Size | None) -> Size:
        """The size of an input; `given` is that of the channel that fills it, where another graph does."""
        ...

    def value(self, channel: Channel, limit: Size | None = None) -> Size:
        """The size of what is written to a channel, where the writer limits it to `limit`."""
        ...


class Worst:
    """Everything is as long as it may be, every call fails as often as it may, every loop comes to its last round."""

    scale = MOST

    def node(self, item: Node, sizes: Sizes, prices: Sequence[Price]) -> Amount:
        calls, attempts = item.cost(sizes), item.retry + 1
        exchanges = attempts * max((price.attempts for price in prices), default=1)
        contexts = [price.context for price in prices if price.context is not None]
        room = calls.model * max(contexts) if contexts and len(contexts) == len(prices) else calls.prompt
        prompt, completion = exchanges * min(calls.prompt, room), exchanges * calls.completion
        return Amount(
            1,
            exchanges * calls.model + attempts * (calls.total - calls.model),
            attempts * calls.passages,
            prompt,
            completion,
            max((price.usd(prompt, completion) for price in prices), default=0.0),
            attempts * item.timeout + item.retry * RETRY_WAIT,
        )

    def either(self, bills: Sequence[Bill]) -> Bill:
        return Bill(lined(max, bills))

    def weighed(self, bill: Bill, chance: float) -> Bill:
        return bill

    def rounds(self, loop: RepeatSpec) -> int:
        return loop.at_most

    def side_by_side(self, bills: Sequence[Bill], fork: ParallelSpec) -> Bill:
        """Losers count too: they may have made all their calls before another branch won."""
        return Bill(lined(add, bills)).lasting(max(bill.total.seconds for bill in bills))

    def items(self, each: EachSpec, given: Size) -> int:
        return min(each.at_most, given.items)

    def entry(self, channel: Channel, declared: InputSpec, given: Size | None) -> Size:
        most = most_of_input(channel, declared)
        return most if given is None else narrow(most, given)

    def value(self, channel: Channel, limit: Size | None = None) -> Size:
        return narrow(size_of(channel), limit or Size(UNBOUNDED))


class Best:
    """Every value is empty, nothing fails, and of all ways that end well the cheapest is taken, number by number."""

    scale = LEAST

    def node(self, item: Node, sizes: Sizes, prices: Sequence[Price]) -> Amount:
        least = item.least(sizes)
        calls = replace(least, completion=min(least.completion, least.model))  # a model may stop after one token
        return _estimated(item, calls, prices, min)

    def either(self, bills: Sequence[Bill]) -> Bill:
        return Bill(lined(min, bills))

    def weighed(self, bill: Bill, chance: float) -> Bill:
        return bill

    def rounds(self, loop: RepeatSpec) -> int:
        return loop.at_most if loop.until is None else 1

    def side_by_side(self, bills: Sequence[Bill], fork: ParallelSpec) -> Bill:
        if fork.sure == len(bills):
            return Bill(lined(add, bills)).lasting(max(bill.total.seconds for bill in bills))
        columns = [sorted(column) for column in zip(*(bill.total for bill in bills), strict=True)]
        cheapest = Amount(*(sum(column[: fork.sure]) for column in columns))
        lines = {step: NOTHING for bill in bills for step in bill.lines}  # none of them has to run
        return Bill({**lines, TOTAL: cheapest._replace(seconds=columns[-1][fork.sure - 1])})

    def items(self, each: EachSpec, given: Size) -> int:
        return 0

    def entry(self, channel: Channel, declared: InputSpec, given: Size | None) -> Size:
        return Size(0)

    def value(self, channel: Channel, limit: Size | None = None) -> Size:
        return Size(0)


class Ended(Best):
    """The best case where a budget ends every loop after its first round."""

    def rounds(self, loop: RepeatSpec) -> int:
        return 1


class Expected:
    """Values are as long as they usually are, nothing fails, branches are equally likely, loops end half-way."""

    scale = USUAL

    def node(self, item: Node, sizes: Sizes, prices: Sequence[Price]) -> Amount:
        most = item.cost(sizes)
        written = max(min(most.model, most.completion), ceil(USUAL_ANSWER * most.completion))
        return _estimated(item, replace(most, completion=written), prices, _mean)

    def either(self, bills: Sequence[Bill]) -> Bill:
        return Bill(lined(add, bills), sum(bill.weight for bill in bills))

    def weighed(self, bill: Bill, chance: float) -> Bill:
        return bill.weighed(chance)

    def rounds(self, loop: RepeatSpec) -> int:
        return loop.at_most if loop.until is None else (loop.at_most + 1) // 2

    def side_by_side(self, bills: Sequence[Bill], fork: ParallelSpec) -> Bill:
        seconds = sorted(bill.total.seconds for bill in bills)
        return Bill(lined(add, bills)).lasting(seconds[fork.need - 1])

    def items(self, each: EachSpec, given: Size) -> int:
        return min(each.at_most, given.items)

    def entry(self, channel: Channel, declared: InputSpec, given: Size | None) -> Size:
        return usual_input(channel, declared) if given is None else narrow(size_of(channel), given)

    def value(self, channel: Channel, limit: Size | None = None) -> Size:
        size = usual(channel)
        if limit is None:
            return size
        return narrow(size_of(channel), Size(limit.items, min(size.bytes, limit.bytes), limit.whole))


def _estimated(item: Node, calls: Calls, prices: Sequence[Price], pick: Callable[[Iterable[float]], float]) -> Amount:
    """The amount of calls that all end well; where a node has models of several prices, `pick` says which counts."""
    tokens = calls.prompt, calls.completion
    usd = pick([price.usd(*tokens) for price in prices] or [0.0])
    asking = pick([price.seconds(calls.model, *tokens) for price in prices] or [0.0])
    others = calls.search * SEARCH_SECONDS + calls.embed * EMBED_SECONDS + calls.other * OTHER_SECONDS
    return Amount(1, calls.total, calls.passages, *tokens, usd, min(item.timeout, asking + others))


def _mean(numbers: Iterable[float]) -> float:
    listed = list(numbers)
    return sum(listed) / len(listed)
