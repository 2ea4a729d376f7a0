"""Keeping to a budget along a flow: what is needed next, which rung of the ladder is taken, when a loop has to end.

Every decision that follows from what is left is settled in the journal, so that a resumed run takes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from agentrag.core.account import Account, Hold
from agentrag.core.budget import NOTHING, Rate, Spend, Unit
from agentrag.core.deps import Deps
from agentrag.core.errors import BudgetError
from agentrag.core.events import Degraded
from agentrag.core.metering import keep_refused, raise_refused
from agentrag.graph.ladder import FinishRung, RebindRung
from agentrag.graph.planning.ahead import Ahead
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import degraded

Need = Callable[["Ladder"], Spend]
"""What something needs, with the rungs that a ladder has taken."""
Needs = Callable[["Ladder"], Sequence[Spend]]
"""What each part of a fan-out needs."""
Lacking = Mapping[Unit, float]
"""How much of each unit is lacking; units of which there is enough are left out."""
EXACT: tuple[Unit, ...] = ("calls", "passages")
"""Units whose bounds are kept to the letter; the others are estimates."""
_MOST_KNOWN = 64


@dataclass
class Prospects:
    """What the steps of a graph need, worked out once for each set of rungs and of models."""

    spec: GraphSpec
    known: dict[Any, Ahead] = field(default_factory=dict)

    def with_rungs(self, taken: tuple[int, ...], rates: Mapping[str, Rate]) -> Ahead:
        """What the steps need with these rungs taken."""
        key = (taken, tuple(sorted((slot, id(rate)) for slot, rate in rates.items())))
        if key not in self.known:
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            spec = degraded(self.spec, (self.spec.degrade[index] for index in taken)) if taken else self.spec
            self.known[key] = Ahead.of(spec, rates)
        return self.known[key]


@dataclass
class Ladder:
    """The ladder of one graph in one run, and which of its rungs are taken. Branches go on with ladders of their own.

    Attributes:
        deps: The run's back ends, bound as the run was begun.
        root: Path of the graph's flow in the run.
        above: The ladder of the graph around.
        taken: Rungs by their numbers, in the order in which they were taken.
    """

    prospects: Prospects
    deps: Deps
    account: Account
    root: str = "flow"
    above: Ladder | None = None
    taken: tuple[int, ...] = ()
    _known: dict[Any, Ahead] = field(default_factory=dict, repr=False)

    @property
    def spec(self) -> GraphSpec:
        """The graph as its file says it."""
        return self.prospects.spec

    @property
    def finishes(self) -> bool:
        """Whether loops end after their current round."""
        own = any(isinstance(self.spec.degrade[index], FinishRung) for index in self.taken)
        return own or (self.above is not None and self.above.finishes)

    def levels(self) -> Iterator[Ladder]:
        """Yield this ladder and those of the graphs around."""
        ladder: Ladder | None = self
        while ladder is not None:
            yield ladder
            ladder = ladder.above

    def branch(self) -> Ladder:
        """A ladder for a branch or an item: what is taken there counts there, and after the join."""
        return replace(self, above=None if self.above is None else self.above.branch())

    def joined(self, branches: Iterable[Ladder]) -> None:
        """Go on after branches: what one of them took is taken."""
        for branch in branches:
            self.taken += tuple(index for index in branch.taken if index not in self.taken)
            if self.above is not None and branch.above is not None:
                self.above.joined([branch.above])

    def bound(self, deps: Deps) -> Deps:
        """The back ends with slots bound as the taken rungs say, those of graphs around first."""
        if self.above is not None:
            deps = self.above.bound(deps)
        if not self.taken:
            return deps
        slots = {
            slot: deps.bindings[name]
            for index in self.taken
            if isinstance(rung := self.spec.degrade[index], RebindRung)
            for slot, name in rung.rebind.items()
        }
        if not slots:
            return deps
        models = {slot: binding.model for slot, binding in slots.items()}
        rates = {slot: rate for slot, rate in deps.rates.items() if slot not in slots}
        rates |= {slot: binding.rate for slot, binding in slots.items() if binding.rate is not None}
        return deps.but(models={**deps.models, **models}, rates=rates)

    def ahead(self) -> Ahead:
        """What the steps need, with the taken rungs."""
        key = self.taken if self.above is None else tuple(ladder.taken for ladder in self.levels())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.prospects.with_rungs(self.taken, self.bound(self.deps).rates)
        return known

    def through(self, where: str) -> Spend:
        """The cheapest way through what stands at a path of the run."""
        return self.ahead().through("flow" + where[len(self.root) :])


@dataclass(frozen=True, slots=True)
class Coming:
    """The steps that follow one, up to the end of the run.

    Attributes:
        where: Path of the flow in which they stand.
        first, last: Which of its steps: from `first` up to and without `last`.
        then: What follows those.
    """

    ladder: Ladder
    where: str
    first: int
    last: int
    then: Coming | None = None

    def seen_from(self, branches: Mapping[int, Ladder]) -> Coming:
        """The same for a branch, whose ladders are given by the identity of those that they go on with."""
        then = None if self.then is None else self.then.seen_from(branches)
        return replace(self, ladder=branches.get(id(self.ladder), self.ladder), then=then)

    def least(self) -> Spend:
        """The cheapest way through them."""
        return self.ladder.ahead().along("flow" + self.where[len(self.ladder.root) :], self.first, self.last)


@dataclass(frozen=True, slots=True)
class Means:
    """What a step has to live on: the ladder of its graph, and what has to be paid for after it."""

    ladder: Ladder
    coming: Coming | None = None

    def before(self, where: str, first: int, last: int) -> Means:
        """The means of a step that is followed by the steps `first` to `last` of the flow at `where`."""
        return Means(self.ladder, Coming(self.ladder, where, first, last, self.coming))

    def branch(self) -> Means:
        """The means of a branch or an item."""
        ladder = self.ladder.branch()
        branches = {id(old): new for old, new in zip(self.ladder.levels(), ladder.levels(), strict=True)}
        return Means(ladder, None if self.coming is None else self.coming.seen_from(branches))

    def checked(self, deps: Deps, need: Need, where: str, *, loop: bool = False) -> Lacking:
        """Take rungs until nothing is lacking for a step, or none is left that helps; what is lacking then.

        Rungs of the graph itself are tried before those of the graphs around.

        Args:
            deps: The run's back ends.
            need: What the step needs.
            where: Its path in the run.
            loop: The step is a further round of a loop, which needs nothing where loops are ended.
        """
        place = f"{where}!degrade"
        decided = deps.journal.settled(deps.run, place)
        if decided is not None:
            ladders = list(self.ladder.levels())
            for level, index, reason in decided:
                _take(ladders[level], deps, index, reason, where)
            return {}
        taken: list[tuple[int, int, str]] = []
        lacking = self._lacking(deps, need, loop=loop)
        for level, ladder in enumerate(self.ladder.levels()):
            for index in range(len(ladder.spec.degrade) if lacking else 0):
                left = lacking if index in ladder.taken else self._with(ladder, index, deps, need, loop=loop)
                if any(left.get(unit, 0.0) < more for unit, more in lacking.items()):
                    taken.append((level, index, _told(lacking)))
                    _take(ladder, deps, index, taken[-1][2], where)
                    lacking = left
        # in branches what is left depends on the others, so that also a decision for nothing has to be known again
        if taken or deps.hold is not None:
            deps.journal.settle(deps.run, place, taken)
        return lacking

    def _with(self, ladder: Ladder, index: int, deps: Deps, need: Need, *, loop: bool) -> Lacking:
        """What would be lacking with one more rung."""
        before = ladder.taken
        ladder.taken = (*before, index)
        try:
            return self._lacking(deps, need, loop=loop)
        finally:
            ladder.taken = before

    def _lacking(self, deps: Deps, need: Need, *, loop: bool) -> Lacking:
        """What is lacking of a need and of all that follows, each account being held against what it has to pay."""
        whole = NOTHING if loop and self.ladder.finishes else need(self.ladder)
        coming, missing = self.coming, dict[Unit, float]()
        for account, held in self.ladder.account.levels(deps.hold):
            while coming is not None and (coming.ladder.account is account or account.outer is None):
                whole, coming = whole.plus(coming.least()), coming.then
            for unit, more in whole.minus(account.own_left(held)).items():
                if more > 1e-9:
                    missing[unit] = max(more, missing.get(unit, 0.0))
        return missing

    @contextmanager
    def shared(self, deps: Deps, needs: Needs, where: str, *, wanted: bool) -> Iterator[list[Hold]]:
        """Set aside what each part of a fan-out needs, as far as it is there.

        Raises:
            BudgetError: All of its parts are `wanted`, and some of them could not be paid; nothing was sent.
        """

        def whole(ladder: Ladder) -> Spend:
            total = NOTHING
            for need in needs(ladder):
                total = total.plus(need)
            return total

        raise_refused(deps.journal, deps.run, where, where)
        begun = deps.hold is not None and deps.journal.settled(deps.run, f"{where}!degrade") is not None
        self.checked(deps, whole, where)
        account = self.ladder.account
        amount = whole(self.ladder)._replace(seconds=0.0)
        refusal = account.lacking(amount, deps.hold) if wanted and not begun else None
        if refusal is not None:
            error = BudgetError(*refusal, where)
            keep_refused(deps.journal, deps.run, where, error)
            raise error
        with account.holding(needs(self.ladder), deps.hold) as holds:
            yield holds


def _take(ladder: Ladder, deps: Deps, index: int, reason: str, where: str) -> None:
    if index not in ladder.taken:
        ladder.taken = (*ladder.taken, index)
        deps.listen(Degraded(where, ladder.spec.name, str(ladder.spec.degrade[index]), reason))


def _told(lacking: Lacking) -> str:
    return ", ".join(f"{more:,.6g} {unit}" for unit, more in lacking.items()) + " would be lacking"
