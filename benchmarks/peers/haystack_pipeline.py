"""Haystack: a component per step. The first takes what comes first, as a BranchJoiner does; the last routes back or out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from haystack import Pipeline, component
from haystack.core.component.types import GreedyVariadic

from benchmarks.peers.work import QUESTION, Run, Work


@dataclass(frozen=True)
class Turn:
    """What goes from component to component; `round` counts the rounds that ended."""

    question: str
    answer: str = ""
    round: int = 0


@component
class Step:
    """One of the nodes; `number` counts from 0."""

    def __init__(self, work: Work, number: int) -> None:
        self.work, self.first, self.last = work, number == 0, number == work.nodes - 1
        component.set_input_types(self, turn=GreedyVariadic[Turn] if self.first else Turn)
        component.set_output_types(self, **({"again": Turn, "done": Turn} if self.last else {"turn": Turn}))

    def run(self, **given: Any) -> dict[str, Turn]:
        """Haystack wants it beside `run_async`, which is what the pipeline awaits."""
        raise TypeError("a step is awaited")

    async def run_async(self, **given: Any) -> dict[str, Turn]:
        """Do the work and say where it goes."""
        turn = given["turn"][0] if self.first else given["turn"]
        await self.work.body()
        after = replace(turn, answer=turn.question, round=turn.round + self.last)
        if not self.last:
            return {"turn": after}
        return {"done" if after.round >= self.work.rounds else "again": after}


def run_of(work: Work) -> Run:
    """The work as a pipeline; at least two nodes."""
    names = [f"n{number}" for number in range(work.nodes)]
    pipeline = Pipeline(max_runs_per_component=work.rounds + 1)
    for number, name in enumerate(names):
        pipeline.add_component(name, Step(work, number))
    for before, after in pairwise(names):
        pipeline.connect(f"{before}.turn", f"{after}.turn")
    pipeline.connect(f"{names[-1]}.again", f"{names[0]}.turn")

    async def run() -> object:
        found = await pipeline.run_async({names[0]: {"turn": Turn(QUESTION)}})
        return found[names[-1]]["done"].answer

    return run
