"""What a run may cost, in five units: amounts, limits, prices, and who keeps limits that outlive a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

Unit = Literal["calls", "passages", "tokens", "usd", "seconds"]
Mode = Literal["enforce", "audit"]


class Spend(NamedTuple):
    """An amount in every unit.

    Attributes:
        calls: Exchanges with models, searches, embeddings and tools.
        passages: Passages that searches return.
        tokens: Of prompts and answers.
        usd: Money.
        seconds: Active time of a run: waiting for a person does not count.
    """

    calls: float = 0.0
    passages: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0
    seconds: float = 0.0

    def plus(self, other: Spend) -> Spend:
        """Both together."""
        a, b, c, d, e = self
        v, w, x, y, z = other
        return Spend(a + v, b + w, c + x, d + y, e + z)  # written out: this is done at every step

    def minus(self, other: Spend) -> Spend:
        """What is left of this amount without the other; may be below zero."""
        a, b, c, d, e = self
        v, w, x, y, z = other
        return Spend(a - v, b - w, c - x, d - y, e - z)

    def at_most(self, other: Spend) -> Spend:
        """The smaller number of each unit."""
        return Spend(*map(min, self, other))

    def scaled(self, factor: float) -> Spend:
        """So many times the amount."""
        return Spend(*[one * factor for one in self])

    def items(self) -> Iterator[tuple[Unit, float]]:
        """Yield the units with their numbers."""
        yield from zip(UNITS, self, strict=True)


UNITS: tuple[Unit, ...] = ("calls", "passages", "tokens", "usd", "seconds")
NOTHING = Spend()
MOST = 2**53
"""No limit is larger: whole numbers up to here are exact everywhere."""
ENDLESS = Spend(inf, inf, inf, inf, inf)


class Limits(BaseModel):
    """The most of each unit; None where a unit is not limited.

    >>> dict(Limits(calls=12).given())
    {'calls': 12}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: Annotated[int, Field(ge=1, le=MOST, strict=True)] | None = None
    passages: Annotated[int, Field(ge=1, le=MOST, strict=True)] | None = None
    tokens: Annotated[int, Field(ge=1, le=MOST, strict=True)] | None = None
    usd: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None

    def given(self) -> Iterator[tuple[Unit, float]]:
        """Yield the units that are limited, with their limits."""
        for unit in UNITS:
            limit: float | None = getattr(self, unit)
            if limit is not None:
                yield unit, limit


class Rate(Protocol):
    """What the model of a slot costs and how quick it is."""

    @property
    def known(self) -> bool:
        """Whether its price is."""
        ...

    def usd(self, prompt: float, completion: float) -> float:
        """The price of so many tokens in USD."""
        ...

    def seconds(self, calls: int, prompt: float, completion: float) -> float:
        """The assumed time of so many calls, one after the other, with so many tokens in all."""
        ...


class Purse(Protocol):
    """Keeps to limits that outlive one run, such as those of a tenant."""

    def left(self) -> Mapping[Unit, float]:
        """What is left of each unit that is limited."""
        ...

    def reserve(self, amount: Spend) -> Unit | None:
        """Set `amount` aside. None where it was; else the first unit that has too little left, and nothing is set aside."""
        ...

    def settle(self, reserved: Spend, spent: Spend) -> None:
        """Give back what was set aside and take what it came to."""
        ...
