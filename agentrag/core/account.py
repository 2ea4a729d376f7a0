"""Accounts: what was spent of a budget, what is set aside for calls in flight, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from math import floor, inf
from secrets import token_hex
from time import monotonic
from typing import NamedTuple

from agentrag.core.budget import ENDLESS, NOTHING, UNITS, Limits, Mode, Purse, Spend, Unit

_HAIR = 1e-9
"""Below this two amounts are the same: sums of decimal numbers are not exact."""
_MOMENT = 0.1
"""Seconds by which a limit of time may be passed before it is told: what runs is ended by a timer."""


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
    """What is set aside for a part of a fan-out; its calls draw on it first."""

    left: Spend


@dataclass
class Earlier:
    """What earlier stretches of a run spent.

    Attributes:
        calls: By the place of the call.
        seconds: For how long they were active.
        error: By how much calls came to more than was set aside for them.
    """

    calls: dict[str, Spend] = field(default_factory=dict)
    seconds: float = 0.0
    error: Spend = NOTHING

    def below(self, path: str) -> Earlier:
        """What was spent at the steps of an inner graph. How long that took is not known."""
        return Earlier({place: spent for place, spent in self.calls.items() if place.startswith(f"{path}.")})


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
        earlier: What earlier stretches spent and this one has not come to again; all of it counts once a call is made anew,
            so that until then a resumed run sees what the run saw before.
        history: All that earlier stretches spent, for the accounts of inner graphs.
        stretch: Names this stretch of the run.
        spent: What calls came to that have ended, those included that the run's own record answers.
        reserved: What is set aside for others.
        error: By how much calls came to more than was set aside for them.
    """

    limits: Spend
    scope: str = "run"
    mode: Mode = "enforce"
    outer: tuple[Account, Hold | None] | None = None
    purse: Purse | None = None
    clock: Callable[[], float] = monotonic
    earlier: Earlier = field(default_factory=Earlier)
    history: Earlier = field(default_factory=Earlier)
    stretch: str = field(default_factory=lambda: token_hex(4))
    spent: Spend = NOTHING
    reserved: Spend = NOTHING
    error: Spend = NOTHING
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @classmethod
    def of(cls, limits: Limits, mode: Mode = "enforce", clock: Callable[[], float] = monotonic) -> Account:
        """An account of these limits."""
        return cls(Spend(*(getattr(limits, unit) or inf for unit in UNITS)), mode=mode, clock=clock)

    @property
    def active(self) -> float:
        """Seconds since it was opened."""
        return self.clock() - self.began

    @property
    def total(self) -> Spend:
        """What was spent, with the active time until now."""
        return self.spent._replace(seconds=self.spent.seconds + self.active)

    def levels(self, hold: Hold | None = None) -> Iterator[tuple[Account, Spend]]:
        """Yield this account and those around it, each with what is set aside there for who asks."""
        account, held = self, NOTHING if hold is None else hold.left
        yield account, held
        while account.outer is not None:
            account, hold = account.outer
            held = held if hold is None else held.plus(hold.left)
            yield account, held

    def own_left(self, held: Spend = NOTHING) -> Spend:
        """What calls may still cost here, whatever accounts around say."""
        left = ENDLESS if self.mode == "audit" else self.limits.minus(self.total).minus(self.reserved).plus(held)
        if self.purse is None or self.outer is not None:
            return left
        known = self.purse.left()
        return left.at_most(Spend(*[known.get(unit, inf) for unit in UNITS]).plus(held))

    def left(self, hold: Hold | None = None) -> Spend:
        """What calls may still cost, here and in all accounts around; infinite where nothing limits."""
        return reduce(Spend.at_most, (account.own_left(held) for account, held in self.levels(hold)))

    @property
    def time_left(self) -> float:
        """Seconds until the time is up, here or in an account around; what earlier stretches took counts at once."""
        limited = [account for account, _ in self.levels() if account.mode == "enforce"]
        return min((each.limits.seconds - each.total.seconds - each.earlier.seconds for each in limited), default=inf)

    def shares(self, limits: Spend, hold: Hold | None, scope: str, path: str) -> Account:
        """An account for a part of this one, that of the inner graph at a path of the run."""
        earlier = self.history.below(path)
        return Account(limits, scope, self.mode, (self, hold), clock=self.clock, earlier=earlier, history=self.history)

    def part(self, share: float, hold: Hold | None) -> Spend:
        """So much of what is left now, in whole calls, passages and tokens."""
        calls, passages, tokens, usd, seconds = (max(0.0, one) for one in self.left(hold).scaled(share))
        calls, passages, tokens = (one if one == inf else float(floor(one + _HAIR)) for one in (calls, passages, tokens))
        return Spend(calls, passages, tokens, usd, seconds)

    def lacking(self, amount: Spend, hold: Hold | None = None) -> Refusal | None:
        """Why `amount` could not be set aside now; None where it could."""
        for account, held in self.levels(hold):
            if (refusal := account._short_of(amount, held)) is not None:
                return refusal
        return None

    def reserve(self, amount: Spend, hold: Hold | None = None) -> Refusal | None:
        """Set `amount` aside, from `hold` as far as that reaches; None where it was, and else nothing is changed."""
        refusal = self.lacking(amount, hold)
        if refusal is not None:
            return refusal
        *_, (outermost, held) = self.levels(hold)
        more = amount.minus(amount.at_most(held))
        if outermost.purse is not None and (unit := outermost.purse.reserve(more)):
            return Refusal(unit, None, "tenant")
        self._take(amount, hold)
        return None

    def _take(self, amount: Spend, hold: Hold | None) -> None:
        if hold is not None:
            covered = amount.at_most(hold.left)
            hold.left, amount = hold.left.minus(covered), amount.minus(covered)
        self.reserved = self.reserved.plus(amount)
        if self.outer is not None:
            self.outer[0]._take(amount, self.outer[1])

    def settle(self, reserved: Spend, spent: Spend) -> None:
        """Give back what was set aside and take what it came to."""
        self.reserved = self.reserved.minus(reserved)
        self.spent = self.spent.plus(spent)
        self.error = self.error.plus(above(spent, reserved))
        if self.outer is not None:
            self.outer[0].settle(reserved, spent)
        elif self.purse is not None:
            self.purse.settle(reserved, spent)

    def goes_on(self) -> None:
        """A call is made anew: all that earlier stretches spent counts from now on."""
        for account, _ in self.levels():
            earlier, account.earlier = account.earlier, Earlier()
            account.spent = reduce(Spend.plus, earlier.calls.values(), account.spent)
            account.spent = account.spent.plus(Spend(seconds=earlier.seconds))

    def recall(self, place: str, hold: Hold | None = None) -> None:
        """The run comes again to a call that it paid in an earlier stretch."""
        for account, _ in self.levels():
            account.spent = account.spent.plus(account.earlier.calls.pop(place, NOTHING))
        paid = self.history.calls.get(place)
        if paid is not None and hold is not None:
            used = Hold(paid.at_most(hold.left))  # as it did then, it draws on what is set aside for its part
            hold.left = hold.left.minus(used.left)
            self.release(used, None)

    @contextmanager
    def holding(self, needs: Sequence[Spend], hold: Hold | None = None) -> Iterator[list[Hold]]:
        """Set aside for each part of a fan-out as much of what it needs as there is, and give back what is left of it."""
        free, holds = _whole(self.left(hold)), list[Hold]()
        for need in needs:
            part = _whole(need.at_most(free))._replace(seconds=0.0)  # time passes for all at once
            holds.append(Hold(NOTHING if self.reserve(part, hold) is not None else part))
            free = free.minus(holds[-1].left)
        try:
            yield holds
        finally:
            for held in holds:
                self.release(held, hold)

    def release(self, held: Hold, hold: Hold | None) -> None:
        """Give back what a part has left of what was set aside for it. Doing it twice is allowed."""
        amount, held.left = held.left, NOTHING
        if hold is not None:
            hold.left = hold.left.plus(amount)
        else:
            self.settle(amount, NOTHING)

    def _short_of(self, amount: Spend, held: Spend) -> Refusal | None:
        left = self.own_left()
        for unit, asked, kept, there, limit in zip(UNITS, amount, held, left, self.limits, strict=True):
            # what asks nothing of a unit is no matter of it, but with no time left nothing may begin
            if there + kept + _HAIR < asked > 0.0 or (unit == "seconds" and there <= 0.0):
                return Refusal(unit, None if limit == inf else limit, self.scope if limit < inf else "tenant")
        return None

    def spending(self) -> Spending:
        """What was spent until now, as told at the end of a run; what is still in flight counts as spent."""
        total = reduce(Spend.plus, self.earlier.calls.values(), self.total.plus(self.reserved))
        total = total.plus(Spend(seconds=self.earlier.seconds))
        limits = {unit: limit for unit, limit in self.limits.items() if limit < inf}
        more_than = above(total, self.limits)
        over = {unit: more for unit, more in more_than.items() if more > (_MOMENT if unit == "seconds" else _HAIR)}
        return Spending(limits, total, over, self.error, self.mode)


def above(one: Spend, other: Spend) -> Spend:
    """By how much each number of one is above that of the other."""
    return Spend(*[max(0.0, more) for more in one.minus(other)])


def _whole(amount: Spend) -> Spend:
    return Spend(*[max(0.0, part) for part in amount])
