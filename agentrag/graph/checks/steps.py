"""What can be wrong with the steps of a flow, one function a step. Paths and names of nodes are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentrag.core.channels import INPUT_TYPES
from agentrag.core.errors import UnknownNameError, unknown
from agentrag.core.template import Template
from agentrag.graph.cel.expressions import ExpressionError, compile_expression
from agentrag.graph.channels import Finding, Path, is_list, type_text
from agentrag.graph.checks.trust import is_steered
from agentrag.graph.checks.view import Graph
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import (
    AskHuman,
    Choose,
    Each,
    Otherwise,
    Parallel,
    ParallelSpec,
    Repeat,
    Return,
    Step,
    Steps,
    SubGraph,
    SubGraphSpec,
    When,
    inner_flows,
    walk,
)
from agentrag.graph.values.joins import join
from agentrag.graph.writes import NONE, Names, Writes


def structure(graph: Graph) -> Iterator[Finding]:
    """Yield all that is wrong with the steps."""
    yield from _Checker(graph).steps(graph.spec.flow, ("flow",), Around())


@dataclass(frozen=True)
class Around:
    """What is around a step.

    Attributes:
        loop: There is a `repeat`, so that rounds can be compared.
        fan: There is a `parallel` or an `each`.
        hidden: Channels that only an item of an `each` inside that loop has: they are in no round.
    """

    loop: bool = False
    fan: bool = False
    hidden: Names = NONE


class _Checker:
    """Goes through the steps, knowing what is around each."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.channels = graph, graph.channels
        self.writes = Writes.of(graph.spec)

    def steps(self, steps: Steps, path: Path, around: Around) -> Iterator[Finding]:
        for index, step in enumerate(steps):
            place = (*path, index)
            match step:
                case Choose():
                    yield from self.choose(step, (*place, "choose"), around)
                case Repeat():
                    yield from self.repeat(step, (*place, "repeat"))
                case Parallel():
                    yield from self.parallel(step.parallel, (*place, "parallel"))
                case Each():
                    yield from self.each(step, (*place, "each"))
                case SubGraph():
                    yield from self.subgraph(step.graph, (*place, "graph"))
                case AskHuman():
                    yield from self.ask_human(step, (*place, "ask_human"))
                case Return():
                    yield from self.returned(step, (*place, "return"), around)
            for below, inner in inner_flows(step):
                yield from self.steps(inner, (*place, *below), self.inside(step, below, around))

    def inside(self, step: Step, below: Path, around: Around) -> Around:
        """What is around the steps of an inner flow."""
        if isinstance(step, Repeat) and below[-1] == "do":
            return Around(True, around.fan)
        if isinstance(step, Each):
            item = self.writes.perhaps(step.each.do) | {step.each.as_}
            return Around(around.loop, True, around.hidden | item)
        return replace(around, fan=around.fan or isinstance(step, Parallel))

    def choose(self, step: Choose, path: Path, around: Around) -> Iterator[Finding]:
        branches = step.choose
        if not branches or not isinstance(branches[-1], Otherwise):
            yield Finding(path, "the last branch should be `otherwise: [...]`; it may be empty")
        conditions: set[str] = set()
        for index, branch in enumerate(branches):
            if isinstance(branch, Otherwise):
                if index < len(branches) - 1:
                    yield Finding((*path, index), "nothing after `otherwise` is ever reached; it should be the last branch")
                elif index == 0 and not self.graph.doubts.flow:
                    yield Finding((*path, index), "a choice of one branch is none; add `{when: ..., do: [...]}` before it")
            elif isinstance(branch, When):
                if branch.when in conditions:
                    told = f"'{branch.when}' stands above already, so this branch is never reached"
                    yield Finding((*path, index, "when"), told)
                conditions.add(branch.when)
                yield from self.condition(branch.when, (*path, index, "when"), around)

    def condition(self, text: str, path: Path, around: Around) -> Iterator[Finding]:
        """Check an expression; its last key in `path` says what it is for."""
        try:
            expression = compile_expression(text, self.channels, "number" if path[-1] == "best_by" else "bool")
        except ExpressionError as error:
            shown = " ".join(text.split())
            for fault in error.faults:
                yield Finding(path, f"'{shown}': {fault.message}", offset=fault.offset)
            return
        if not expression.reads and not expression.budgeted:
            why = "every round would be as good" if path[-1] == "best_by" else "every run would take the same branch"
            yield Finding(path, f"'{text}' reads no channel, so {why}")
        if expression.measured and not around.loop:
            yield Finding(path, f"'{text}' compares rounds, but no `repeat` is around it")
        for name in sorted(expression.measured & around.hidden if around.loop else ()):
            yield Finding(path, f"'{text}' compares rounds, but what `each` writes to '{name}' inside is in none of them")

    def repeat(self, step: Repeat, path: Path) -> Iterator[Finding]:
        loop = step.repeat
        if not loop.do and not self.graph.doubts.flow:
            yield Finding((*path, "do"), "a loop needs at least one step")
        changes = self.writes.perhaps(loop.do)
        for name in ("until", "best_by"):
            text = getattr(loop, name)
            if text is None:
                continue
            found = list(self.condition(text, (*path, name), Around(loop=True)))
            yield from found
            if not found and not self._in_doubt(loop.do):
                expression = compile_expression(text, self.channels, "number" if name == "best_by" else "bool")
                if changes.isdisjoint(expression.reads) and not expression.budgeted:
                    yield Finding((*path, name), f"'{text}' reads nothing that the loop writes, so it never changes")
        if loop.on_exhausted == "fail" and loop.until is None:
            yield Finding(
                (*path, "on_exhausted"), "a loop without `until` always comes to its last round, so it would always fail"
            )
        if loop.best_by is not None and loop.on_exhausted != "return_best":
            yield Finding((*path, "best_by"), "`best_by` is of no effect unless `on_exhausted` is return_best", key=True)

    def _in_doubt(self, steps: Steps) -> bool:
        """Whether a step inside is not known, so that it may write anything."""
        doubts = self.graph.doubts
        inside = [step for _, step in walk(steps)]
        named = {step for step in inside if isinstance(step, str)}
        graphs = {step.graph.use for step in inside if isinstance(step, SubGraph)}
        return doubts.flow or not named <= self.graph.spec.nodes.keys() or not graphs.isdisjoint(doubts.graphs)

    def parallel(self, step: ParallelSpec, path: Path) -> Iterator[Finding]:
        if step.need > len(step.branches):
            yield Finding((*path, "wait", "quorum"), f"there are {len(step.branches)} branches; {step.need} cannot end")
        writers: dict[str, list[str]] = {}
        for name, steps in step.branches.items():
            for channel in self.writes.perhaps(steps):
                writers.setdefault(channel, []).append(name)
        for channel in sorted(writers):
            if len(writers[channel]) > 1 and channel not in step.join and step.need > 1:
                who = " and ".join(f"'{name}'" for name in writers[channel])
                yield Finding(path, f"branches {who} write channel '{channel}'; say under `join:` how their values become one")
        doubted = any(self._in_doubt(steps) for steps in step.branches.values())
        for channel, name in step.join.items():
            yield from self.joined(channel, name, (*path, "join", channel))
            if len(writers.get(channel, ())) < 2 and not doubted and channel in self.channels:
                who = f"only branch '{writers[channel][0]}' writes" if channel in writers else "no branch writes"
                yield Finding((*path, "join", channel), f"{who} channel '{channel}'; there is nothing to join", key=True)

    def joined(self, channel: str, name: str, path: Path) -> Iterator[Finding]:
        if channel not in self.channels:
            yield Finding(path, unknown("channel", channel, self.channels), key=True)
            return
        try:
            found = join[name]
        except UnknownNameError as error:
            yield Finding(path, str(error))
            return
        kind = self.channels[channel].type
        if kind is not Any and not found.accepts(kind):
            told = f"'{name}' cannot join channel '{channel}', which is {type_text(kind)}; it joins {found.accepted}"
            yield Finding(path, told)

    def each(self, step: Each, path: Path) -> Iterator[Finding]:
        each = step.each
        if not each.do and not self.graph.doubts.flow:
            yield Finding((*path, "do"), "`each` needs at least one step")
        if each.in_ not in self.channels:
            yield Finding((*path, "in"), unknown("channel", each.in_, self.channels))
        elif not is_list(self.channels[each.in_].type):
            yield Finding((*path, "in"), f"channel '{each.in_}' is {type_text(self.channels[each.in_].type)}, not a list")
        if not each.collect:
            yield Finding((*path, "collect"), "name at least one channel to collect; nothing else leaves `each`")
        yield from _twice(each.collect, (*path, "collect"))
        for source in each.collect:
            if source not in self.channels:
                yield Finding((*path, "collect", source), unknown("channel", source, self.channels), key=True)

    def subgraph(self, step: SubGraphSpec, path: Path) -> Iterator[Finding]:
        inner = self.graph.spec.graphs.get(step.use)
        if inner is None:
            return  # told where it was looked for
        for name, channel in step.in_.items():
            place = (*path, "in", name)
            if name not in inner.inputs:
                yield Finding(place, f"graph '{step.use}': {unknown('input', name, inner.inputs)}", key=True)
            elif channel not in self.channels:
                yield Finding(place, unknown("channel", channel, self.channels))
            else:
                yield from self._given(inner, name, channel, place)
        for name, given in inner.inputs.items():
            if given.required and name not in step.in_:
                yield Finding((*path, "use"), f"graph '{step.use}' needs its input '{name}'; fill it under `in:`")
        yield from _twice(step.out, (*path, "out"))
        for name in step.out:
            if name not in inner.outputs:
                yield Finding((*path, "out", name), f"graph '{step.use}': {unknown('output', name, inner.outputs)}", key=True)

    def _given(self, inner: GraphSpec, name: str, channel: str, place: Path) -> Iterator[Finding]:
        kind, wanted = self.channels[channel].type, INPUT_TYPES[inner.inputs[name].type]
        if kind not in (wanted, Any):
            yield Finding(place, f"channel '{channel}' is {type_text(kind)}, but input '{name}' is {type_text(wanted)}")
        if self.channels[channel].untrusted and is_steered(inner, frozenset({name})):
            told = f"channel '{channel}' holds text of documents, tools or a model, but graph '{inner.name}' takes '{name}'"
            yield Finding(place, f"{told} as an instruction; only data may be untrusted")

    def ask_human(self, step: AskHuman, path: Path) -> Iterator[Finding]:
        asked = step.ask_human
        for hole in Template(asked.question).holes:
            if hole.name not in self.channels:
                place = (*path, "question")
                yield Finding(place, unknown("channel", hole.name, self.channels), offset=hole.start + 1)

    def returned(self, step: Return, path: Path, around: Around) -> Iterator[Finding]:
        if around.fan:
            yield Finding(
                path, "a branch or an item cannot end the graph; `return` stands outside of parallel and each", key=True
            )
        for output, channel in step.return_.items():
            place = (*path, output)
            if output not in self.graph.spec.outputs:
                yield Finding(place, unknown("output", output, self.graph.spec.outputs), key=True)
            elif channel not in self.channels:
                yield Finding(place, unknown("channel", channel, self.channels))
            elif output in self.channels:
                kind, wanted = self.channels[channel].type, self.channels[output].type
                if Any not in (kind, wanted) and kind != wanted:
                    told = f"channel '{channel}' is {type_text(kind)}, but output '{output}' is {type_text(wanted)}"
                    yield Finding(place, told)


def _twice(written: Mapping[str, str], path: Path) -> Iterator[Finding]:
    """Yield the channels that two values would be written to."""
    targets = list(written.values())
    for name, target in written.items():
        if targets.count(target) > 1:
            yield Finding((*path, name), f"two values would be written to channel '{target}'", key=True)
