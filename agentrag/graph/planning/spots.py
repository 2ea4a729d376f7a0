"""Where the walk along a flow stands, and what it knows there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agentrag.core.prompts import Prompt, Prompts
from agentrag.graph.parts import Place
from agentrag.graph.planning.amounts import Bill
from agentrag.graph.planning.prices import Price
from agentrag.graph.planning.values import Table

_FOLLOWED = 64
"""Rounds of a loop that are reckoned one by one while channels still grow, a quarter as many for each loop around it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a step stands: its path in a run, its path in the file, and how many rounds are followed there."""

    where: str
    place: Place
    followed: int = _FOLLOWED

    def at(self, index: int) -> Spot:
        """The step of a flow at this index."""
        return replace(self, where=f"{self.where}.{index}", place=(*self.place, index))

    def in_loop(self) -> Spot:
        """The same spot, in a loop of its own."""
        return replace(self, followed=max(1, self.followed // 4))

    def inside(self, word: str, *place: str | int) -> Spot:
        """A flow inside this step: `word` names it in a run, `place` in the file."""
        return replace(self, where=f"{self.where}.{word}", place=(*self.place, *place))


@dataclass(frozen=True, slots=True)
class Reached:
    """What is known after steps.

    Attributes:
        on: The cost of the ways that go on; None where none does.
        back: The cost of the ways that returned from the graph; None where none did.
        table: Sizes of the channels on the ways that go on.
        outputs: Sizes of the outputs of the ways that returned.
    """

    on: Bill | None
    back: Bill | None = None
    table: Table = field(default_factory=dict)
    outputs: Table = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A node where it stands in a flow.

    Attributes:
        name: After those of the graphs around its own.
        prices: By slot.
        table: Sizes of the channels when it is reached, the largest of all times.
    """

    name: str
    prices: Mapping[str, Price]
    table: Table

    @property
    def has_unknown_price(self) -> bool:
        """Whether what it asks a model may cost something that is not known; also where it names no slot."""
        return not self.prices or not all(price.known for price in self.prices.values())


@dataclass(frozen=True)
class ReadOnce(Prompts):
    """Prompts whose files are read once."""

    read: dict[str, Prompt] = field(default_factory=dict, compare=False)

    def __getitem__(self, name: str) -> Prompt:
        if name not in self.read:
            self.read[name] = super().__getitem__(name)
        return self.read[name]


def followed(first: Bill | None, second: Bill | None) -> Bill | None:
    """The cost of a way that goes on; None where either part does not exist."""
    return None if first is None or second is None else first.then(second)
