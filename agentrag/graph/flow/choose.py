"""`choose`: the first branch whose condition is true."""

from __future__ import annotations

from dataclasses import dataclass

from agentrag.core.channels import State
from agentrag.core.errors import RunError
from agentrag.core.events import ChoiceMade
from agentrag.graph.cel.expressions import Expression
from agentrag.graph.flow.frame import Frame, Rounds, Sequence


@dataclass(frozen=True, slots=True)
class Branching:
    """Take the first branch whose condition is true, else `otherwise`."""

    branches: tuple[tuple[Expression, Sequence], ...]
    otherwise: Sequence

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.choose"
        label, told, steps = self.taken(state, frame.rounds, place)
        frame.deps.listen(ChoiceMade(place, told))
        return await steps.run(state, frame, f"{place}.{label}")

    def taken(self, state: State, rounds: Rounds, place: str) -> tuple[str, str, Sequence]:
        """The branch's name in paths, its condition, and its steps."""
        for index, (condition, steps) in enumerate(self.branches):
            if evaluated(condition, state, rounds, place):
                return str(index), condition.text, steps
        return "otherwise", "otherwise", self.otherwise


def evaluated(expression: Expression, state: State, rounds: Rounds, place: str) -> bool | float:
    """The value of an expression at a step.

    Raises:
        RunError: It has none.
    """
    try:
        return expression(state, rounds)
    except RunError as error:
        raise RunError(f"Step {place}: {error}") from error
