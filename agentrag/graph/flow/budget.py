"""Keeping to a budget along a flow: what is needed next, which rung of the ladder is taken, when a loop has to end.

Every decision that follows from what is left is settled in the journal, so that a resumed run takes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
Lacking = Mapping[Unit, float]
"""How much of each unit is lacking; units of which there is enough are left out."""
EXACT: tuple[Unit, ...] = ("calls", "passages")
"""Units whose bounds are kept to the letter; the others are estimates."""


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


_MOST_KNOWN = 64


@dataclass
class Ladder:
    """The ladder of one graph in one run, and which of its rungs are taken. Branches go on with ladders of their own.

    Attributes:
        root: Path of the graph's flow in the run.
        above: The ladder of the graph around, whose ended loops end here too.
        taken: Rungs by their numbers, in the order in which they were taken.
    """

    prospects: Prospects
    deps: Deps
    account: Account
    root: str = "flow"
    above: Ladder | None = None
    taken: tuple[int, ...] = ()

    @property
    def spec(self) -> GraphSpec:
        """The graph as its file says it."""
        return self.prospects.spec

    @property
    def finishes(self) -> bool:
        """Whether loops end after their current round."""
        own = any(isinstance(self.spec.degrade[index], FinishRung) for index in self.taken)
        return own or (self.above is not None and self.above.finishes)

    def joined(self, branches: Iterable[Ladder]) -> None:
        """Go on after branches: what one of them took is taken."""
        for branch in branches:
            self.taken += tuple(index for index in branch.taken if index not in self.taken)

    def bound(self, deps: Deps) -> Deps:
        """The back ends with slots bound as the taken rungs say."""
        slots = {
            slot: deps.bindings[name]
            for index in self.taken
            if isinstance(rung := self.spec.degrade[index], RebindRung)
            for slot, name in rung.rebind.items()
        }
        if not slots:
            return deps
        models = {slot: binding.model for slot, binding in slots.items()}
        rates = {slot: binding.rate for slot, binding in slots.items() if binding.rate is not None}
        return deps.but(models={**deps.models, **models}, rates={**deps.rates, **rates})

    def ahead(self) -> Ahead:
        """What the steps need, with the taken rungs."""
        return self.prospects.with_rungs(self.taken, self.bound(self.deps).rates)

    def through(self, where: str, ahead: Ahead | None = None) -> Spend:
        """The cheapest way through what stands at a path of the run."""
        return (ahead or self.ahead()).through("flow" + where[len(self.root) :])


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

    def seen_from(self, ladder: Ladder, branch: Ladder) -> Coming:
        """The same for a branch, which goes on with a ladder of its own."""
        then = None if self.then is None else self.then.seen_from(ladder, branch)
        return replace(self, ladder=branch if self.ladder is ladder else self.ladder, then=then)

    def least(self) -> Spend:
        """The cheapest way to the end."""
        total, coming = NOTHING, self
        while True:
            ahead = coming.ladder.ahead()
            for index in range(coming.first, coming.last):
                total = total.plus(coming.ladder.through(f"{coming.where}.{index}", ahead))
            if coming.then is None:
                return total
            coming = coming.then


@dataclass(frozen=True, slots=True)
class Means:
    """What a step has to live on: the ladder of its graph, and what has to be paid for after it."""

    ladder: Ladder
    coming: Coming | None = None

    def branch(self) -> Means:
        """The means of a branch or an item: what is taken of the ladder there counts there, and after the join."""
        ladder = replace(self.ladder)
        return Means(ladder, None if self.coming is None else self.coming.seen_from(self.ladder, ladder))

    def before(self, where: str, index: int, count: int) -> Means:
        """The means of a step of a flow, of which others of the flow's `count` steps follow."""
        return Means(self.ladder, Coming(self.ladder, where, index + 1, count, self.coming))

    def checked(self, deps: Deps, need: Need, where: str, *, loop: bool = False) -> Lacking:
        """Take rungs until nothing is lacking for a step, or none is left that helps; what is lacking then.

        Args:
            deps: The run's back ends.
            need: What the step needs.
            where: Its path in the run.
            loop: The step is a further round of a loop, which needs nothing where loops are ended.
        """
        ladder, place = self.ladder, f"{where}!degrade"
        decided = deps.journal.settled(deps.run, place)
        if decided is not None:
            for index, reason in decided:
                self._take(deps, index, reason, where)
            return {}
        taken: list[tuple[int, str]] = []
        lacking = self._lacking(deps, need, loop=loop)
        for index in range(len(ladder.spec.degrade) if lacking else 0):
            left = lacking if index in ladder.taken else self._with(index, deps, need, loop=loop)
            if lacking and any(left.get(unit, 0.0) < more for unit, more in lacking.items()):
                taken.append((index, _told(lacking)))
                self._take(deps, *taken[-1], where)
                lacking = left
        # in branches what is left depends on the others, so that also a decision for nothing has to be known again
        if taken or (deps.hold is not None and len(ladder.taken) < len(ladder.spec.degrade)):
            deps.journal.settle(deps.run, place, taken)
        return lacking

    def _with(self, index: int, deps: Deps, need: Need, *, loop: bool) -> Lacking:
        """What would be lacking with one more rung."""
        before = self.ladder.taken
        self.ladder.taken = (*before, index)
        try:
            return self._lacking(deps, need, loop=loop)
        finally:
            self.ladder.taken = before

    def _lacking(self, deps: Deps, need: Need, *, loop: bool) -> Lacking:
        """What is lacking of a need and of all that follows."""
        whole = NOTHING if loop and self.ladder.finishes else need(self.ladder)
        if self.coming is not None:
            whole = whole.plus(self.coming.least())
        missing = whole.minus(self.ladder.account.left(deps.hold))
        return {unit: more for unit, more in missing.items() if more > 0}

    def _take(self, deps: Deps, index: int, reason: str, where: str) -> None:
        ladder = self.ladder
        if index not in ladder.taken:
            ladder.taken = (*ladder.taken, index)
            deps.listen(Degraded(where, ladder.spec.name, str(ladder.spec.degrade[index]), reason))

    @contextmanager
    def shared(self, deps: Deps, need: Need, where: str, *, wanted: bool) -> Iterator[Hold]:
        """Set aside what a fan-out needs, as far as it is there.

        Raises:
            BudgetError: All of its parts are `wanted`, and some of them could not be paid; nothing was sent.
        """
        raise_refused(deps.journal, deps.run, where, where)
        self.checked(deps, need, where)
        account, whole = self.ladder.account, need(self.ladder)
        refusal = account.lacking(whole._replace(seconds=0.0), deps.hold) if wanted else None
        if refusal is not None:
            error = BudgetError(*refusal, where)
            keep_refused(deps.journal, deps.run, where, error)
            raise error
        with account.holding(whole, deps.hold) as held:
            yield held


def _told(lacking: Lacking) -> str:
    return ", ".join(f"{more:,.6g} {unit}" for unit, more in lacking.items()) + " would be lacking"
