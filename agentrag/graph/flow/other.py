"""The steps that have no inside of their own: another graph, a question to a person, `return`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentrag.core.channels import Channel, State
from agentrag.core.errors import InputError, PausedError, Question, RunError
from agentrag.core.rendering import render
from agentrag.core.template import Template
from agentrag.graph.flow.frame import Frame, Returned
from agentrag.graph.values.bounds import bounded, merge

if TYPE_CHECKING:
    from agentrag.graph.flow.program import Program


@dataclass(frozen=True, slots=True)
class Nested:
    """Run another graph: it sees its inputs only, and gives its outputs only."""

    program: Program
    inputs: Mapping[str, str]
    outputs: Mapping[str, tuple[str, Channel]]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        spec = self.program.spec
        try:
            channels = self.program.channels
            given = self.program.entered(
                {name: bounded(channels[name], state[channel]) for name, channel in self.inputs.items()}
            )
        except InputError as error:
            raise RunError(f"Step {where}: {error}") from error
        deps = replace(frame.deps, prompts=spec.prompts)
        inner = Frame(deps, (), f"{frame.prefix}{spec.name}/", frame.through)
        outputs, _ = await self.program.outputs_of(given, inner, f"{where}.graph")
        wrote = {name: merge(channel, state.get(name), outputs[output]) for output, (name, channel) in self.outputs.items()}
        frame.note(wrote)
        return {**state, **wrote}


@dataclass(frozen=True, slots=True)
class Ask:
    """Wait for a person's answer: the run ends here, and goes on when it is resumed with one."""

    question: str
    choices: tuple[str, ...]
    out: str
    channel: Channel

    async def run(self, state: State, frame: Frame, where: str) -> State:
        place, deps = f"{where}.ask_human", frame.deps
        question = Question(Template(self.question).fill(state, render).strip(), self.choices)
        answer = deps.journal.settled(deps.run, place)
        if answer is None:
            answer = self._of_parent(question, frame, place)
        if answer is None:
            raise PausedError(deps.run, {place: question})
        frame.note((self.out,))
        return {**state, self.out: bounded(self.channel, answer["answer"])}

    def _of_parent(self, question: Question, frame: Frame, place: str) -> Any:
        """What the run that this one was forked from was answered at this step, where it asked the same."""
        journal, origin = frame.deps.journal, frame.deps.origin
        if origin.parent is None or origin.cut is not None:
            return None
        answer = journal.settled(origin.parent, place)
        if answer is None or answer.get("question") != question.text or (self.choices and answer["answer"] not in self.choices):
            return None
        journal.settle(frame.deps.run, place, answer)
        return answer


@dataclass(frozen=True, slots=True)
class End:
    """End the graph: each output takes its value from the channel of its own name, or from the named one."""

    outputs: Mapping[str, str]

    async def run(self, state: State, frame: Frame, where: str) -> State:
        raise Returned({output: state[channel] for output, channel in self.outputs.items()}, state)
