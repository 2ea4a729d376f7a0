"""Which channels steps write: always, perhaps, and for the first time inside a loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agentrag.graph.parts import Place
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import AskHuman, Each, Parallel, Repeat, Return, Step, Steps, SubGraph, inner_flows

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True)
class Writes:
    """Answers for the steps of one graph. Nodes that are not there write nothing."""

    nodes: Mapping[str, Names]

    @classmethod
    def of(cls, spec: GraphSpec) -> Writes:
        """The writes of a graph's nodes, as `out` renames them."""
        return cls({name: item.targets for name, item in spec.nodes.items()})

    def perhaps(self, steps: Steps) -> Names:
        """Channels that some way through the steps writes, as seen after them."""
        return NONE.union(*(self.own(step) | self._inside(step) for step in steps))

    def _inside(self, step: Step) -> Names:
        if isinstance(step, Each):
            return NONE  # what an item writes stays inside
        return NONE.union(*(self.perhaps(steps) for _, steps in inner_flows(step)))

    def own(self, step: Step) -> Names:
        """What a step writes itself, besides the steps in it."""
        if isinstance(step, str):
            return self.nodes.get(step, NONE)
        if isinstance(step, Each):
            return frozenset(step.each.collect.values())
        if isinstance(step, SubGraph):
            return frozenset(step.graph.out.values())
        return frozenset({step.ask_human.out}) if isinstance(step, AskHuman) else NONE

    def always(self, steps: Steps) -> Names | None:
        """Channels that every way through the steps writes; None where every way returns from the graph."""
        written: Names = NONE
        for step in steps:
            one = self._always(step)
            if one is None:
                return None
            written |= one
        return written

    def _always(self, step: Step) -> Names | None:
        if isinstance(step, Return):
            return None
        if isinstance(step, Parallel):
            return self._sure(step)
        if isinstance(step, Repeat):
            return self._loop(step)
        flows = [] if isinstance(step, Each) else [self.always(steps) for _, steps in inner_flows(step)]
        if not flows:
            return self.own(step)
        return common(flow for flow in flows)

    def _sure(self, step: Parallel) -> Names:
        branches = [self.always(steps) or NONE for steps in step.parallel.branches.values()]
        return sure(branches, step.parallel.sure)

    def _loop(self, step: Repeat) -> Names | None:
        written = self.always(step.repeat.do)
        after = step.repeat.on_exhausted
        if written is None or not isinstance(after, tuple):
            return written
        more = self.always(after)
        ends = [written] if step.repeat.until is not None else []
        return common([*ends, None if more is None else written | more])


def sure(branches: Iterable[Names], enough: int) -> Names:
    """Channels that are written when any `enough` of the branches ended well.

    >>> sorted(sure([frozenset("ab"), frozenset("a"), frozenset("b")], 2))
    ['a', 'b']
    """
    listed = list(branches)
    every = NONE.union(*listed)
    return frozenset(name for name in every if sum(name not in branch for branch in listed) < enough)


def common(ends: Iterable[Names | None]) -> Names | None:
    """What all ways write that go on; None where none does."""
    going_on = [end for end in ends if end is not None]
    return frozenset.intersection(*going_on) if going_on else None


def first_written_in_loops(spec: GraphSpec, writes: Writes) -> dict[Place, Names]:
    """The channels that each loop, by its place, writes before anything else in the file does.

    They are cleared when the loop is entered.
    """
    return dict(_loops(spec.flow, ("flow",), frozenset(spec.inputs), writes))


def _loops(steps: Steps, place: Place, before: Names, writes: Writes) -> Iterator[tuple[Place, Names]]:
    for index, step in enumerate(steps):
        here = (*place, index)
        if isinstance(step, Repeat):
            yield here, writes.perhaps(step.repeat.do) - before
        seen = before | {step.each.as_} if isinstance(step, Each) else before
        for below, inner in inner_flows(step):
            yield from _loops(inner, (*here, *below), seen, writes)
            if isinstance(step, Repeat):
                seen |= writes.perhaps(inner)  # what follows the last round follows the rounds
        before |= writes.perhaps((step,))
