"""A checked graph made ready to run: what is the same for all of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from agentrag.core.channels import Channel, State
from agentrag.core.errors import BudgetError
from agentrag.core.events import BudgetEnded
from agentrag.graph.cel.expressions import Expression, compile_expression
from agentrag.graph.channels import channels_of
from agentrag.graph.flow.budget import Prospects
from agentrag.graph.flow.choose import Branching
from agentrag.graph.flow.each import Collected, Map
from agentrag.graph.flow.frame import Frame, Op, Returned, Sequence
from agentrag.graph.flow.node import RunNode
from agentrag.graph.flow.other import Ask, End, Nested
from agentrag.graph.flow.parallel import Fork
from agentrag.graph.flow.repeat import Loop
from agentrag.graph.inputs import checked_inputs
from agentrag.graph.memo import once_a_graph
from agentrag.graph.parts import Place
from agentrag.graph.recorded.edits import EDITS, Edits
from agentrag.graph.recorded.manifest import Manifest
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import AskHuman, Choose, Each, Parallel, Repeat, Return, Step, Steps, SubGraph, When
from agentrag.graph.values.blanks import blank
from agentrag.graph.values.bounds import bounded
from agentrag.graph.values.joins import join
from agentrag.graph.writes import Writes, first_written_in_loops


@dataclass(frozen=True)
class Program:
    """A graph ready to run.

    Attributes:
        channels: All its channels.
        flow: Its steps.
    """

    spec: GraphSpec
    channels: Mapping[str, Channel]
    flow: Sequence

    @classmethod
    def of(cls, spec: GraphSpec) -> Program:
        """Make a checked graph ready. Cost: about 0.1 ms per condition, and little else."""
        channels = channels_of(spec)
        writes = Writes.of(spec)
        builder = _Builder(spec, channels, writes, first_written_in_loops(spec, writes))
        return cls(spec, channels, builder.sequence(spec.flow, ("flow",)))

    @cached_property
    def prospects(self) -> Prospects:
        """What its steps need of a budget."""
        return Prospects(self.spec)

    @cached_property
    def manifest(self) -> Manifest:
        """What the journal keeps of the graph."""
        return Manifest.of(self.spec)

    def entered(self, inputs: Mapping[str, Any]) -> State:
        """The state that a run begins with.

        Raises:
            InputError: An input is missing, unknown or of the wrong type.
        """
        given = checked_inputs(self.spec, inputs)
        return {name: bounded(self.channels[name], value) for name, value in given.items()}

    async def outputs_of(self, state: State, frame: Frame, where: str) -> tuple[dict[str, Any], State]:
        """Run the flow: the outputs, and the state at the end."""
        if edits := frame.deps.origin.options.get(EDITS):
            frame = replace(frame, edits=Edits(edits, self.channels))
        try:
            end = await self.flow.run(state, frame, where)
        except Returned as returned:
            return dict(returned.outputs), returned.state
        except BudgetError as error:
            return self._best_effort(error, frame, where)
        return {name: end[name] for name in self.spec.outputs}, end

    def _best_effort(self, error: BudgetError, frame: Frame, where: str) -> tuple[dict[str, Any], State]:
        """What there is when a budget has ended the graph. Only the outermost one may end without some output.

        Raises:
            BudgetError: An inner graph has not come to all of its outputs.
        """
        state = error.state or {}
        if frame.prefix and not state.keys() >= set(self.spec.outputs):
            error.state = None  # the graph around knows its own
            raise error
        frame.deps.listen(BudgetEnded(where, error.unit, error.reason))
        return {name: state.get(name, blank(name, self.channels[name])) for name in self.spec.outputs}, state


program_of = once_a_graph(Program.of)
"""A graph made ready once, however many steps run it."""


@dataclass(frozen=True)
class _Builder:
    spec: GraphSpec
    channels: Mapping[str, Channel]
    writes: Writes
    clears: Mapping[Place, frozenset[str]]

    def sequence(self, steps: Steps, place: Place) -> Sequence:
        return Sequence(tuple(self.op(step, (*place, index)) for index, step in enumerate(steps)))

    def op(self, step: Step, place: Place) -> Op:
        match step:
            case str():
                return self.node(step)
            case Choose():
                return self.choose(step, (*place, "choose"))
            case Repeat():
                return self.repeat(step, place)
            case Parallel():
                return self.parallel(step, (*place, "parallel", "branches"))
            case Each():
                return self.each(step, (*place, "each", "do"))
            case SubGraph():
                return self.nested(step)
            case AskHuman():
                asked = step.ask_human
                return Ask(asked.question, asked.choices, asked.out, self.channels[asked.out], asked.schema_)
            case Return():
                return End({name: step.return_.get(name, name) for name in self.spec.outputs})

    def node(self, name: str) -> RunNode:
        item = self.spec.nodes[name]
        targets = {raw: item.out.get(raw, raw) for raw in item.writes()}
        return RunNode(name, item, {raw: (target, self.channels[target]) for raw, target in targets.items()})

    def choose(self, step: Choose, place: Place) -> Branching:
        branches, otherwise = [], Sequence(())
        for index, branch in enumerate(step.choose):
            if isinstance(branch, When):
                steps = self.sequence(branch.do, (*place, index, "do"))
                branches.append((self.expression(branch.when), steps))
            else:
                otherwise = self.sequence(branch.otherwise, (*place, index, "otherwise"))
        return Branching(tuple(branches), otherwise)

    def repeat(self, step: Repeat, place: Place) -> Loop:
        loop, inside = step.repeat, (*place, "repeat")
        after = loop.on_exhausted
        return Loop(
            self.sequence(loop.do, (*inside, "do")),
            loop.at_most,
            None if loop.until is None else self.expression(loop.until),
            None if loop.best_by is None else compile_expression(loop.best_by, self.channels, "number"),
            after if isinstance(after, str) else self.sequence(after, (*inside, "on_exhausted")),
            self.clears[place],
            self.writes.perhaps(loop.do),
        )

    def parallel(self, step: Parallel, place: Place) -> Fork:
        forked = step.parallel
        branches = {name: self.sequence(steps, (*place, name)) for name, steps in forked.branches.items()}
        joins = {channel: join[name] for channel, name in forked.join.items()}
        return Fork(branches, joins, forked.need, forked.sure, forked.on_error == "collect", self.channels)

    def each(self, step: Each, place: Place) -> Map:
        each = step.each
        collected = tuple(
            Collected(source, target, self.channels[target], self.channels[source].type == self.channels[target].type)
            for source, target in each.collect.items()
        )
        do = self.sequence(each.do, place)
        return Map(each.in_, each.as_, do, collected, each.at_most, each.concurrency, each.on_error == "collect")

    def nested(self, step: SubGraph) -> Nested:
        inner = program_of(self.spec.graphs[step.graph.use])
        outputs = {output: (name, self.channels[name]) for output, name in step.graph.out.items()}
        return Nested(inner, step.graph.in_, outputs, step.graph.share)

    def expression(self, text: str) -> Expression:
        return compile_expression(text, self.channels)
