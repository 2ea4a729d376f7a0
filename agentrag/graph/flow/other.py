"""The steps that have no inside of their own: another graph, a question to a person, `return`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from agentrag.core.account import Account, Hold
from agentrag.core.budget import Spend
from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError, PausedError, Question, RunError
from agentrag.core.events import Asked
from agentrag.core.metering import earlier_of
from agentrag.core.rendering import render
from agentrag.core.template import Template
from agentrag.graph.flow.budget import Ladder, Means
from agentrag.graph.flow.frame import Frame, Returned
from agentrag.graph.ladder import BudgetSpec
from agentrag.graph.values.bounds import bounded, merge
from agentrag.graph.values.replies import accepted

if TYPE_CHECKING:
    from agentrag.graph.flow.program import Program


@dataclass(frozen=True, slots=True)
class Nested:
    """Run another graph: it sees its inputs only, and gives its outputs only."""

    program: Program
    inputs: Mapping[str, str]
    outputs: Mapping[str, tuple[str, Channel]]
    share: float | None = None

    async def run(self, state: State, frame: Frame, where: str) -> State:
        spec = self.program.spec
        try:
            channels = self.program.channels
            given = self.program.entered(
                {name: bounded(channels[name], state[channel]) for name, channel in self.inputs.items()}
            )
        except InputError as error:
            raise RunError(f"Step {where}: {error}") from error
        place = f"{where}.graph"
        if frame.means is not None:
            frame.means.checked(frame.deps, lambda ladder: ladder.through(where), where)
        deps, means = self._means(frame, place)
        inner = Frame(deps.but(prompts=spec.prompts), (), f"{frame.prefix}{spec.name}/", frame.through, means=means)
        outputs, _ = await self.program.outputs_of(given, inner, place)
        wrote = {name: merge(channel, state.get(name), outputs[output]) for output, (name, channel) in self.outputs.items()}
        frame.note(wrote)
        return {**state, **wrote}

    def _means(self, frame: Frame, place: str) -> tuple[Deps, Means | None]:
        """What the other graph has to live on: its share of what is left, and within that a budget of its own."""
        spec, outer, deps = self.program.spec, frame.means, frame.deps
        account, hold = deps.account, deps.hold
        if account is not None and self.share is not None:
            account, hold = account.shares(self._share(deps, account, place), hold, spec.name, place), None
        if spec.budget is not None:
            account, hold = _own(spec.budget, deps, account, hold, spec.name, place), None
        if account is None:
            return deps, None
        deps = deps.but(account=account, hold=hold)
        ladder = Ladder(self.program.prospects, deps, account, place, None if outer is None else outer.ladder)
        return deps, Means(ladder, None if outer is None else outer.coming)

    def _share(self, deps: Deps, account: Account, place: str) -> Spend:
        """The limits of the share, as they were when the step began."""
        kept = deps.journal.settled(deps.run, f"{place}!share")
        if kept is None:
            part = account.part(self.share or 1.0, deps.hold)
            kept = [None if one == inf else one for one in part]
            deps.journal.settle(deps.run, f"{place}!share", kept)
        return Spend(*[inf if one is None else one for one in kept])


def _own(budget: BudgetSpec, deps: Deps, outer: Account | None, hold: Hold | None, scope: str, place: str) -> Account:
    """The account of a budget that the other graph has itself."""
    history = earlier_of(deps.journal, deps.run) if outer is None else outer.history
    own = Account.of(budget, budget.mode, asyncio.get_running_loop().time)
    own.scope, own.history, own.earlier = scope, history, history.below(place)
    if outer is not None:
        own.outer, own.mode = (outer, hold), "audit" if outer.mode == "audit" else budget.mode
    return own


@dataclass(frozen=True, slots=True)
class Ask:
    """Wait for a person's answer: the run ends here, and goes on when it is resumed with one."""

    question: str
    choices: tuple[str, ...]
    out: str
    channel: Channel
    schema: Mapping[str, Any] | None = None

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place, deps = f"{where}.ask_human", frame.deps
        text = Template(self.question).fill(state, render).strip()
        question = Question(text, self.choices, self.schema, None if self.choices else self.channel.bytes)
        answer = deps.journal.settled(deps.run, place)
        if answer is None:
            answer = self._of_parent(question, frame, place)
        if answer is None:
            deps.listen(Asked(place, text, question.choices, question.schema, question.bytes))
            raise PausedError(deps.run, {place: question})
        frame.note((self.out,))
        return {**state, self.out: merge(self.channel, state.get(self.out), answer["answer"])}

    def _of_parent(self, question: Question, frame: Frame, place: str) -> Any:
        """What the run that this one was forked from was answered at this step, where it asked the same."""
        journal, origin = frame.deps.journal, frame.deps.origin
        if origin.parent is None or origin.cut is not None:
            return None
        answer = journal.settled(origin.parent, place)
        if answer is None or answer.get("question") != question.text:
            return None
        try:
            accepted(question, answer["answer"])
        except ValueError:
            return None
        journal.settle(frame.deps.run, place, answer)
        return answer


@dataclass(frozen=True, slots=True)
class End:
    """End the graph: each output takes its value from the channel of its own name, or from the named one."""

    outputs: Mapping[str, str]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        raise Returned({output: state[channel] for output, channel in self.outputs.items()}, state)
