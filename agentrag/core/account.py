"""Accounts: what was spent of a budget, what is set aside for calls in flight, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import NamedTuple

from agentrag.core.budget import ENDLESS, NOTHING, UNITS, Limits, Mode, Purse, Spend, Unit


class Refusal(NamedTuple):
    """Why something cannot be set aside: the unit that lacks, its limit where that is known, and whose budget it is."""

    unit: Unit
    limit: float | None
    scope: str


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent of a budget.

    Attributes:
        limits: By unit; units without a limit are left out.
        spent: In all, earlier stretches of a resumed run included.
        over: By unit, how much more was spent than the limit says: in calls and passages never anything, in tokens and money
            at most `estimate_error`; with mode "audit" whatever it came to.
        estimate_error: By how much calls came to more tokens, or money, than had been set aside for them; 0 in other units.
        mode: "enforce", or "audit", which only reports.
    """

    limits: Mapping[Unit, float]
    spent: Spend
    over: Mapping[Unit, float]
    estimate_error: Spend
    mode: Mode = "enforce"


@dataclass
class Hold:
    """What is set aside for a fan-out; its calls draw on it first."""

    left: Spend


@dataclass
class Account:
    """A budget while it is used. One event loop uses it; nothing in it awaits.

    Attributes:
        limits: The most of each unit, infinite where there is no limit.
        scope: Whose budget it is, for messages.
        mode: With "audit" nothing is refused.
        outer: The account whose share this one is, with what is set aside there for the fan-out around it.
        purse: Pays for what no outer account pays for.
        clock: Seconds that only go forward.
        spent: What calls came to that have ended, those included that the journal answers from this run's own record.
        reserved: What is set aside for others.
        error: By how much calls came to more than was set aside for them.
        carried: What earlier stretches of the run spent and no record of a call tells; counted once a call is made anew, so
            that until then a resumed run takes the same way.
        unrecorded: The same of this stretch: exchanges without an answer.
    """

    limits: Spend
    scope: str = "run"
    mode: Mode = "enforce"
    outer: tuple[Account, Hold | None] | None = None
    purse: Purse | None = None
    clock: Callable[[], float] = monotonic
    spent: Spend = NOTHING
    reserved: Spend = NOTHING
    error: Spend = NOTHING
    carried: Spend = NOTHING
    unrecorded: Spend = NOTHING
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @classmethod
    def of(cls, limits: Limits, mode: Mode = "enforce", clock: Callable[[], float] = monotonic) -> Account:
        """An account of these limits."""
        return cls(Spend(*(getattr(limits, unit) or inf for unit in UNITS)), mode=mode, clock=clock)

    @property
    def total(self) -> Spend:
        """What was spent, with the active time until now."""
        return self.spent._replace(seconds=self.spent.seconds + self.active)

    @property
    def active(self) -> float:
        """Seconds since it was opened."""
        return self.clock() - self.began

    def left(self, hold: Hold | None = None) -> Spend:
        """What calls may still cost, here and in all accounts around; infinite where nothing limits."""
        left = ENDLESS if self.mode == "audit" else self.limits.minus(self.total).minus(self.reserved)
        if hold is not None:
            left = left.plus(hold.left)
        return left if self.outer is None else left.at_most(self.outer[0].left(self.outer[1]))

    def shares(self, share: float, hold: Hold | None, scope: str) -> Account:
        """An account for a part of what is left now."""
        return Account(self.left(hold).scaled(share), scope, self.mode, (self, hold), clock=self.clock)

    def reserve(self, amount: Spend, hold: Hold | None = None) -> Refusal | None:
        """Set `amount` aside, from `hold` as far as that reaches; None where it was, and else nothing is changed."""
        covered = NOTHING if hold is None else amount.at_most(hold.left)
        more = amount.minus(covered)
        refusal = self._short_of(more)
        if refusal is None and self.outer is not None:
            refusal = self.outer[0].reserve(more, self.outer[1])
        elif refusal is None and self.purse is not None and (unit := self.purse.reserve(more)):
            refusal = Refusal(unit, None, "tenant")
        if refusal is None:
            self.reserved = self.reserved.plus(more)
            if hold is not None:
                hold.left = hold.left.minus(covered)
        return refusal

    def lacking(self, amount: Spend, hold: Hold | None = None) -> Refusal | None:
        """Why `amount` could not be set aside now; None where it could. A purse is not asked."""
        more = amount if hold is None else amount.minus(amount.at_most(hold.left))
        refusal = self._short_of(more)
        if refusal is None and self.outer is not None:
            return self.outer[0].lacking(more, self.outer[1])
        return refusal

    def settle(self, reserved: Spend, spent: Spend, *, recorded: bool = True) -> None:
        """Give back what was set aside for a call and take what it came to; not `recorded` where it got no answer."""
        if not recorded:
            self.unrecorded = self.unrecorded.plus(spent)
        self.reserved = self.reserved.minus(reserved)
        self.spent = self.spent.plus(spent)
        self.error = self.error.plus(_above(spent, reserved))
        if self.outer is not None:
            self.outer[0].settle(reserved, spent, recorded=recorded)
        elif self.purse is not None:
            self.purse.settle(reserved, spent)

    def goes_on(self) -> None:
        """A call is made anew: what earlier stretches spent counts from now on."""
        self.spent, self.carried = self.spent.plus(self.carried), NOTHING
        if self.outer is not None:
            self.outer[0].goes_on()

    def recall(self, spent: Spend) -> None:
        """Take what this run paid before it was resumed."""
        self.spent = self.spent.plus(spent)
        if self.outer is not None:
            self.outer[0].recall(spent)

    @contextmanager
    def holding(self, amount: Spend, hold: Hold | None = None) -> Iterator[Hold]:
        """Set aside for a fan-out as much of `amount` as there is, and give back what it left."""
        held = Hold(_whole(amount.at_most(self.left(hold)))._replace(seconds=0.0))  # time passes for all at once
        if self.reserve(held.left, hold) is not None:
            held = Hold(NOTHING)
        try:
            yield held
        finally:
            self._release(held.left, hold)

    def _release(self, amount: Spend, hold: Hold | None) -> None:
        if hold is not None:
            hold.left = hold.left.plus(amount)
            return
        self.settle(amount, NOTHING)

    def _short_of(self, amount: Spend) -> Refusal | None:
        if self.mode == "audit":
            return None
        left = self.limits.minus(self.total).minus(self.reserved)
        for unit, asked, there, limit in zip(UNITS, amount, left, self.limits, strict=True):
            # with no time left nothing may begin, and what asks nothing of a unit is no matter of it
            if there < asked > 0.0 or (unit == "seconds" and there <= 0.0):
                return Refusal(unit, limit, self.scope)
        return None

    def spending(self) -> Spending:
        """What was spent until now, as told at the end of a run."""
        total = self.total.plus(self.carried)
        limits = {unit: limit for unit, limit in self.limits.items() if limit < inf}
        over = {unit: more for unit, more in _above(total, self.limits).items() if more > 0}
        return Spending(limits, total, over, self.error, self.mode)


def _above(one: Spend, other: Spend) -> Spend:
    """By how much each number of one is above that of the other."""
    return Spend(*[max(0.0, more) for more in one.minus(other)])


def _whole(amount: Spend) -> Spend:
    return Spend(*[max(0.0, part) for part in amount])
