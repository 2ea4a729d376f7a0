"""`choose`: the first branch whose condition is true."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from agentrag.core.channels import State
from agentrag.core.errors import RunError
from agentrag.core.events import ChoiceMade
from agentrag.graph.cel.expressions import BUDGET, Budget, Expression, Left
from agentrag.graph.flow.frame import Frame, Rounds, Sequence


@dataclass(frozen=True, slots=True)
class Branching:
    """Take the first branch whose condition is true, else `otherwise`."""

    branches: tuple[tuple[Expression, Sequence], ...]
    otherwise: Sequence

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.choose"
        label, told, steps = self.taken(seen(state, frame, place, *(each for each, _ in self.branches)), frame.rounds, place)
        frame.deps.listen(ChoiceMade(place, told))
        return await steps.run(state, frame, f"{place}.{label}")

    def taken(self, state: State, rounds: Rounds, place: str) -> tuple[str, str, Sequence]:
        """The branch's name in paths, its condition, and its steps."""
        for index, (condition, steps) in enumerate(self.branches):
            if evaluated(condition, state, rounds, place):
                return str(index), condition.text, steps
        return "otherwise", "otherwise", self.otherwise


def seen(state: State, frame: Frame, place: str, *expressions: Expression | None) -> State:
    """The state as expressions see it: with what is left of the budget where one of them reads it.

    What they saw is settled in the journal, so that a resumed or replayed run decides the same.
    """
    deps = frame.deps
    if deps.account is None or not any(expression is not None and expression.budgeted for expression in expressions):
        return state
    left = deps.journal.settled(deps.run, f"{place}!left")
    if left is None:
        left = asdict(Left.of(deps.account.left(deps.hold)))
        deps.journal.settle(deps.run, f"{place}!left", left)
    return {**state, BUDGET: Budget(Left(**left))}


def evaluated(expression: Expression, state: State, rounds: Rounds, place: str) -> bool | float:
    """The value of an expression at a step.

    Raises:
        RunError: It has none.
    """
    try:
        return expression(state, rounds)
    except RunError as error:
        raise RunError(f"Step {place}: {error}") from error
