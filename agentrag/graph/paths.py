"""Channels that are read on a path before anything on that path wrote them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from agentrag.core.channels import Channel
from agentrag.graph.channels import Finding, Path
from agentrag.graph.expressions import ExpressionError, compile_expression
from agentrag.graph.spec import Choose, GraphSpec, Otherwise, Step, walk

Written = frozenset[str]


def unwritten(
    spec: GraphSpec,
    channels: Mapping[str, Channel],
    reads: Callable[[str], set[str]],
    doubted: tuple[Collection[str], Collection[str]],
    partial: bool,
) -> list[Finding]:
    """All reads of channels that not every path before the read wrote, outputs included.

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
    writes = {name: item.writes() for name, item in spec.nodes.items()} | dict.fromkeys(doubted[1], every)
    needs = {name: frozenset(reads(name)) & every for name in spec.nodes}
    found: list[Finding] = []
    walker = _Walker(channels, needs, writes, _first_writes(spec, writes), found)
    written = walker.sequence(spec.flow, ("flow",), frozenset(spec.inputs).union(doubted[0]))
    for index, output in enumerate(spec.outputs):
        if output in every - written:
            why = walker.why(output)
            found.append(Finding(("outputs", index), f"output '{output}' may have no value: {why}"))
    return found


def _first_writes(spec: GraphSpec, writes: Mapping[str, Written]) -> dict[str, str]:
    """Where each channel is written first in file order, as "'write' (flow.2)"."""
    first: dict[str, str] = {}
    for path, step in walk(spec.flow):
        if isinstance(step, str):
            for channel in writes.get(step, ()):
                first.setdefault(channel, f"'{step}' ({'.'.join(map(str, path))})")
    return first


@dataclass(frozen=True)
class _Walker:
    channels: Mapping[str, Channel]
    needs: Mapping[str, Written]
    writes: Mapping[str, Written]
    first: Mapping[str, str]
    found: list[Finding]

    def sequence(self, steps: tuple[Step, ...], path: Path, written: Written) -> Written:
        """What is written on every path after the steps."""
        for index, step in enumerate(steps):
            place = (*path, index)
            if isinstance(step, Choose):
                written = self.choose(step, (*place, "choose"), written)
            else:
                for channel in sorted(self.needs.get(step, frozenset()) - written):
                    self.found.append(Finding(place, f"node '{step}' reads channel '{channel}', but {self.why(channel)}"))
                written |= self.writes.get(step, frozenset())
        return written

    def choose(self, step: Choose, path: Path, written: Written) -> Written:
        ends = []
        for index, branch in enumerate(step.choose):
            if isinstance(branch, Otherwise):
                ends.append(self.sequence(branch.otherwise, (*path, index, "otherwise"), written))
            else:
                self.found.extend(self.condition(branch.when, (*path, index, "when"), written))
                ends.append(self.sequence(branch.do, (*path, index, "do"), written))
        return frozenset.intersection(*ends) if ends else written

    def condition(self, text: str, path: Path, written: Written) -> Iterator[Finding]:
        try:
            reads = compile_expression(text, self.channels).reads
        except ExpressionError:  # told where conditions are checked
            return
        for channel in sorted(reads - written):
            yield Finding(path, f"'{' '.join(text.split())}' reads channel '{channel}', but {self.why(channel)}")

    def why(self, channel: str) -> str:
        """Say who writes a channel that a path lacks."""
        if channel not in self.first:
            return "nothing writes it"
        return f"not every path to here writes it; {self.first[channel]} does"
