"""Channels that are read on a path before anything on that path wrote them, and steps that no path reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from agentrag.core.channels import Channel
from agentrag.core.template import Template
from agentrag.graph.cel.expressions import ExpressionError, compile_expression
from agentrag.graph.channels import Finding, Path
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import AskHuman, Choose, Each, Otherwise, Parallel, Repeat, Return, Step, Steps, SubGraph, walk
from agentrag.graph.writes import NONE, Names, Writes, common, first_written_in_loops, sure


def unwritten(
    spec: GraphSpec,
    channels: Mapping[str, Channel],
    reads: Callable[[str], set[str]],
    doubted: tuple[Collection[str], Collection[str]],
    partial: bool,
) -> list[Finding]:
    """All reads of channels that not every path before the read wrote, outputs included, and steps behind a `return`.

    Args:
        spec: The graph.
        channels: All its channels.
        reads: Channels that a node needs, by its name.
        doubted: Channels that are taken to be written, and nodes that are taken to write everything, because what the
            file says of them is wrong.
        partial: True when steps are missing, so that nothing is known about what is written.
    """
    if partial:
        return []
    every = frozenset(channels)
    needs = {name: frozenset(reads(name)) & every for name in spec.nodes}
    walker = _Walker.over(spec, channels, needs, doubted[1])
    written = walker.sequence(spec.flow, ("flow",), frozenset(spec.inputs).union(doubted[0]))
    if written is not None:
        for index, output in enumerate(spec.outputs):
            if output in every - written:
                message = f"output '{output}' may have no value: {walker.why(output)}"
                walker.found.append(Finding(("outputs", index), message))
    return walker.found


def _first_writes(spec: GraphSpec, writes: Writes) -> dict[str, str]:
    """Where each channel is written first in file order, as "'write' (flow.2)"."""
    first: dict[str, str] = {}
    for path, step in walk(spec.flow):
        who = f"'{step}'" if isinstance(step, str) else f"`{next(iter(type(step).model_fields))}`"
        for channel in writes.own(step):
            first.setdefault(channel, f"{who} ({'.'.join(map(str, path))})")
    return first


@dataclass(frozen=True)
class _Walker:
    """Follows all paths at once. Its methods return what is written on every path behind a step, None behind a return."""

    spec: GraphSpec
    channels: Mapping[str, Channel]
    needs: Mapping[str, Names]
    writes: Mapping[str, Names]
    clears: Mapping[Path, Names]
    first: Mapping[str, str]
    found: list[Finding]

    @classmethod
    def over(
        cls, spec: GraphSpec, channels: Mapping[str, Channel], needs: Mapping[str, Names], doubted: Iterable[str]
    ) -> _Walker:
        writes = {name: item.targets for name, item in spec.nodes.items()} | dict.fromkeys(doubted, frozenset(channels))
        known = Writes(writes)
        clears = first_written_in_loops(spec, known)
        return cls(spec, channels, needs, writes, clears, _first_writes(spec, known), [])

    def sequence(self, steps: Steps, path: Path, written: Names) -> Names | None:
        for index, step in enumerate(steps):
            after = self.step(step, (*path, index), written)
            if after is None:
                if index + 1 < len(steps):
                    self.found.append(Finding((*path, index + 1), "no path reaches this step: the graph has returned before"))
                return None
            written = after
        return written

    def step(self, step: Step, place: Path, written: Names) -> Names | None:
        match step:
            case str():
                self.lacking(self.needs.get(step, NONE) - written, place, f"node '{step}'")
                return written | self.writes.get(step, NONE)
            case Choose():
                return self.choose(step, (*place, "choose"), written)
            case Repeat():
                return self.repeat(step, place, written)
            case Parallel():
                path = (*place, "parallel", "branches")
                ends = [self.sequence(steps, (*path, name), written) for name, steps in step.parallel.branches.items()]
                return written | sure([end or written for end in ends], step.parallel.sure)
            case Each():
                return self.each(step, (*place, "each"), written)
            case SubGraph():
                for name, channel in step.graph.in_.items():
                    self.lacking({channel} - written, (*place, "graph", "in", name), f"graph '{step.graph.use}'")
                return written.union(step.graph.out.values())
            case AskHuman():
                asked = step.ask_human
                self.lacking(Template(asked.question).required - written, (*place, "ask_human", "question"), "the question")
                return written | {asked.out}
            case Return():
                self.returned(step, (*place, "return"), written)
                return None

    def choose(self, step: Choose, path: Path, written: Names) -> Names | None:
        ends = []
        for index, branch in enumerate(step.choose):
            if isinstance(branch, Otherwise):
                ends.append(self.sequence(branch.otherwise, (*path, index, "otherwise"), written))
            else:
                self.condition(branch.when, (*path, index, "when"), written)
                ends.append(self.sequence(branch.do, (*path, index, "do"), written))
        return common(ends) if ends else written

    def repeat(self, step: Repeat, place: Path, written: Names) -> Names | None:
        loop, path = step.repeat, (*place, "repeat")
        end = self.sequence(loop.do, (*path, "do"), written - self.clears[place])
        if end is None:
            return None
        for name in ("until", "best_by"):
            if (text := getattr(loop, name)) is not None:
                self.condition(text, (*path, name), end)
        if not isinstance(loop.on_exhausted, tuple):
            return end
        after = self.sequence(loop.on_exhausted, (*path, "on_exhausted"), end)
        return common([end, after]) if loop.until is not None else after

    def each(self, step: Each, path: Path, written: Names) -> Names:
        each = step.each
        self.lacking({each.in_} - written, (*path, "in"), "`each`")
        end = self.sequence(each.do, (*path, "do"), written | {each.as_})
        for source in each.collect if end is not None else ():
            self.lacking({source} - (end or NONE), (*path, "collect", source), "`collect`", key=True)
        return written.union(each.collect.values())

    def returned(self, step: Return, path: Path, written: Names) -> None:
        for output in self.spec.outputs:
            channel = step.return_.get(output, output)
            place = (*path, output) if output in step.return_ else path
            self.lacking({channel} - written, place, f"output '{output}'")

    def condition(self, text: str, path: Path, written: Names) -> None:
        try:
            reads = compile_expression(text, self.channels, "number" if path[-1] == "best_by" else "bool").reads
        except ExpressionError:  # told where conditions are checked
            return
        self.lacking(reads - written, path, f"'{' '.join(text.split())}'")

    def lacking(self, names: Collection[str], path: Path, reader: str, *, key: bool = False) -> None:
        """Tell of channels that are read and not written on every path."""
        for channel in sorted(names):
            if channel in self.channels:  # one that nobody knows is told where names are checked
                message = f"{reader} reads channel '{channel}', but {self.why(channel)}"
                self.found.append(Finding(path, message, key=key))

    def why(self, channel: str) -> str:
        """Say who writes a channel that a path lacks."""
        if channel not in self.first:
            return "nothing writes it"
        return f"not every path to here writes it; {self.first[channel]} does"
