"""What a run may cost, in five units, and the purse that keeps to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

Unit = Literal["calls", "passages", "tokens", "usd", "seconds"]


class Spend(NamedTuple):
    """An amount in every unit. Adds up with `plus`; `minus` may go below zero.

    Attributes:
        calls: Exchanges with models, searches, embeddings and tools.
        passages: Passages that searches return.
        tokens: Of prompts and answers.
        usd: Money.
        seconds: Active time of a run: waiting for a person does not count.
    """

    calls: float = 0
    passages: float = 0
    tokens: float = 0
    usd: float = 0.0
    seconds: float = 0.0

    def plus(self, other: Spend) -> Spend:
        """Both together."""
        return Spend(*map(float.__add__, map(float, self), map(float, other)))

    def minus(self, other: Spend) -> Spend:
        """What is left of this amount without the other."""
        return Spend(*map(float.__sub__, map(float, self), map(float, other)))


class Limits(BaseModel):
    """The most of each unit; None where a unit is not limited.

    >>> dict(Limits(calls=12).given())
    {'calls': 12}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: Annotated[int, Field(ge=1, strict=True)] | None = None
    passages: Annotated[int, Field(ge=1, strict=True)] | None = None
    tokens: Annotated[int, Field(ge=1, strict=True)] | None = None
    usd: Annotated[float, Field(gt=0)] | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None

    def given(self) -> Iterator[tuple[Unit, float]]:
        """Yield the units that are limited, with their limits."""
        for unit in Spend._fields:
            limit: float | None = getattr(self, unit)
            if limit is not None:
                yield unit, limit  # type: ignore[misc]  # the fields of Spend are the units


class Purse(Protocol):
    """Keeps to limits that outlive one run, such as those of a tenant."""

    def reserve(self, amount: Spend) -> Unit | None:
        """Set `amount` aside. None where it was; else the first unit that has too little left, and nothing is set aside."""
        ...

    def settle(self, reserved: Spend, spent: Spend) -> None:
        """Give back what was set aside and take what it came to."""
        ...
