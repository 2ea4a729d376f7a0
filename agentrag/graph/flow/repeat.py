"""`repeat`: rounds until a condition is true, or until there were enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agentrag.core.channels import State
from agentrag.core.errors import BudgetError, ExhaustedError
from agentrag.core.events import BudgetEnded, Event, LoopFinished, RoundFinished
from agentrag.graph.cel.expressions import Expression
from agentrag.graph.flow.budget import EXACT
from agentrag.graph.flow.choose import evaluated, seen
from agentrag.graph.flow.frame import Frame, Rounds, Sequence

Cut = tuple[str, str]
"""Why a loop is ended early: the unit that lacks and the reason; nothing of both where the ladder ends loops."""


@dataclass(frozen=True, slots=True)
class Round:
    """A complete round: its number from 1, what `best_by` made of it, and the state at its end."""

    number: int
    score: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a round: whether the loop ends with it, and its score."""

    done: bool
    score: float | None
    told: RoundFinished


@dataclass(frozen=True, slots=True)
class Loop:
    """Repeat steps.

    Attributes:
        clears: Channels that are first written inside: they have no value when the loop is entered.
        writes: Channels that the steps may write: those that the best round restores.
        exhausted: "return_best", "fail", or the steps that follow the last round.
    """

    do: Sequence
    at_most: int
    until: Expression | None
    best_by: Expression | None
    exhausted: str | Sequence
    clears: frozenset[str]
    writes: frozenset[str]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place = f"{where}.repeat"
        state = self.entered(state)
        rounds: Rounds = ()
        best: Round | None = None
        inside = self._inside(frame, where)
        for number in range(1, self.at_most + 1):
            if best is not None and (cut := _cut_before(inside, f"{place}#{number}")):
                return await self._cut(cut, best, rounds, frame, where)
            try:
                state = await self.do.run(state, inside.within(rounds), f"{place}#{number}")
            except BudgetError as error:
                error.state = None  # of a round that was cut nothing stays
                if best is None:
                    raise
                return await self._cut((error.unit, error.reason), best, rounds, frame, where)
            verdict = self.judged(seen(state, frame, f"{place}#{number}", self.until, self.best_by), rounds, place, number)
            frame.deps.listen(verdict.told)
            if verdict.done:
                frame.deps.listen(LoopFinished(place, number, "until", number))
                return state
            best = better(best, Round(number, verdict.score, state))
            rounds = (*rounds, state)
        if best is None:
            raise ValueError("a loop has at least one round")
        ended = self.ended(state, best, place, frame.deps.listen)
        if isinstance(self.exhausted, Sequence):
            return await self.exhausted.run(ended, frame, f"{where}.exhausted")
        return ended

    def _inside(self, frame: Frame, where: str) -> Frame:
        """The frame of the rounds: what follows the last one has to be paid for too."""
        if frame.means is None or not isinstance(self.exhausted, Sequence):
            return frame
        return replace(frame, means=frame.means.before(f"{where}.exhausted", 0, len(self.exhausted.ops)))

    async def _cut(self, cut: Cut, best: Round, rounds: Rounds, frame: Frame, where: str) -> State:
        """The state after a loop that was ended early: that of the best round, or after the steps that follow the last."""
        place, deps, (unit, reason), count = f"{where}.repeat", frame.deps, cut, len(rounds)
        deps.journal.settle(deps.run, f"{place}#{count + 1}!cut", [unit, reason])
        if unit:
            deps.listen(BudgetEnded(place, unit, reason))
        kept = count if isinstance(self.exhausted, Sequence) else best.number
        deps.listen(LoopFinished(place, count, "budget" if unit else "finish", kept))
        if isinstance(self.exhausted, Sequence):
            return await self.exhausted.run(rounds[-1], frame, f"{where}.exhausted")
        return self.restored(rounds[-1], best)

    def entered(self, state: State) -> State:
        """The state when the loop begins."""
        if self.clears.isdisjoint(state):
            return state
        return {name: value for name, value in state.items() if name not in self.clears}

    def judged(self, state: State, rounds: Rounds, place: str, number: int) -> Verdict:
        """What is said of the round that ended with `state`."""
        done, measures, score = None, {}, None
        if self.until is not None:
            done = bool(evaluated(self.until, state, rounds, place))
            measures = self.until.measures(state, rounds)
        if self.best_by is not None:
            score = float(evaluated(self.best_by, state, rounds, place))
            measures |= self.best_by.measures(state, rounds)
        return Verdict(bool(done), score, RoundFinished(place, number, done, measures, score))

    def restored(self, state: State, best: Round) -> State:
        """The state with what the best round had in all channels that the steps write."""
        kept = {name: value for name, value in state.items() if name not in self.writes}
        return kept | {name: best.state[name] for name in self.writes if name in best.state}

    def ended(self, state: State, best: Round, place: str, listen: Callable[[Event], None]) -> State:
        """The state after the last round; steps may follow.

        Raises:
            ExhaustedError: The loop fails when it comes here.
        """
        kept = best.number if self.exhausted == "return_best" else self.at_most
        listen(LoopFinished(place, self.at_most, "exhausted", kept))
        if self.exhausted == "fail":
            raise ExhaustedError(place, self.at_most, self.until.text if self.until else "an end")
        return self.restored(state, best) if self.exhausted == "return_best" else state


def better(best: Round | None, other: Round) -> Round:
    """The better round; of equal ones, and where nothing judges them, the later."""
    if best is None or best.score is None or other.score is None or other.score >= best.score:
        return other
    return best


def _cut_before(frame: Frame, where: str) -> Cut | None:
    """Why a loop ends before a further round; None where it goes on."""
    means, deps = frame.means, frame.deps
    if means is None:
        return None
    decided = deps.journal.settled(deps.run, f"{where}!cut")
    if decided is not None:
        return decided[0], decided[1]
    lacking = means.checked(deps, lambda ladder: ladder.through(where), where, loop=True)
    if means.ladder.finishes:
        return "", ""
    unit = next((unit for unit in EXACT if unit in lacking), None)
    if unit is None:
        return None
    return unit, f"a further round and what follows would need {lacking[unit]:g} {unit} more than are left"
