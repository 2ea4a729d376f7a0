"""Carries sizes and costs along a flow, as the interpreter carries its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

from agentrag.core.channels import Channel
from agentrag.core.prompts import Prompts
from agentrag.core.sizes import Size, Sizes
from agentrag.graph.channels import channels_of
from agentrag.graph.parts import Place
from agentrag.graph.planning.amounts import FREE, TOTAL, Bill
from agentrag.graph.planning.cases import Case
from agentrag.graph.planning.prices import Price
from agentrag.graph.planning.spots import Reached, ReadOnce, Spot, Standing, followed
from agentrag.graph.planning.values import Table, collected, either, join_of, measured, widest, written
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import AskHuman, Choose, Each, Parallel, ParallelSpec, Repeat, Return, Step, Steps, SubGraph, When
from agentrag.graph.writes import NONE, Writes, first_written_in_loops, sure


def reckoned(spec: GraphSpec, case: Case, prices: Mapping[str, Price]) -> tuple[Bill, dict[str, Standing]]:
    """The cost of a run of a checked graph, and every node that it may come to, by the path of its step."""
    walk = Walk.of(spec, case, prices, "", {})
    bill, _ = walk.graph(Spot("flow", ("flow",)), {})
    return bill, walk.standing


@dataclass(frozen=True)
class Walk:
    """The way through one graph in one case.

    Attributes:
        prefix: Names of the graphs around this one, as nodes are named in a run.
        standing: Collects the nodes, those of inner graphs too.
    """

    spec: GraphSpec
    case: Case
    prices: Mapping[str, Price]
    prefix: str
    standing: dict[str, Standing]
    channels: Mapping[str, Channel]
    writes: Writes
    clears: Mapping[Place, frozenset[str]]
    prompts: Prompts

    @classmethod
    def of(cls, spec: GraphSpec, case: Case, prices: Mapping[str, Price], prefix: str, standing: dict[str, Standing]) -> Self:
        """Get ready to go through a graph."""
        writes = Writes.of(spec)
        known = (channels_of(spec), writes, first_written_in_loops(spec, writes), ReadOnce(**vars(spec.prompts)))
        return cls(spec, case, prices, prefix, standing, *known)

    def graph(self, spot: Spot, given: Table) -> tuple[Bill, Table]:
        """The cost of the graph, and the sizes of its outputs. `given` are the inputs that another graph fills."""
        entries = {
            name: self.case.entry(self.channels[name], declared, given.get(name)) for name, declared in self.spec.inputs.items()
        }
        reached = self.steps(self.spec.flow, spot, entries)
        outputs = [reached.outputs]
        if reached.on is not None:
            outputs.append({name: reached.table[name] for name in self.spec.outputs if name in reached.table})
        return self.whole(reached), either(outputs)

    def whole(self, reached: Reached) -> Bill:
        """The cost of steps, wherever they end."""
        return self.one_of(reached.on, reached.back) or FREE

    def one_of(self, *ways: Bill | None) -> Bill | None:
        """The cost of one of the ways that there are."""
        open_ways = [way for way in ways if way is not None]
        return self.case.either(open_ways) if open_ways else None

    def steps(self, steps: Steps, spot: Spot, table: Table) -> Reached:
        """What is known after steps that begin with these sizes."""
        on, back, outputs = FREE, None, []
        for index, step in enumerate(steps):
            reached = self.step(step, spot.at(index), table)
            outputs.append(reached.outputs)
            back = self.one_of(back, followed(on, reached.back))
            if reached.on is None:
                return Reached(None, back, {}, either(outputs))
            on, table = on.then(reached.on), reached.table
        return Reached(on, back, table, either(outputs))

    def step(self, step: Step, spot: Spot, table: Table) -> Reached:
        """What is known after a step that begins with these sizes."""
        reached = self.reached(step, spot, table)
        self.met(spot.where, reached)
        return reached

    def met(self, where: str, reached: Reached) -> None:
        """Take notice of what is known after the step, the round or the item at `where`."""

    def reached(self, step: Step, spot: Spot, table: Table) -> Reached:
        match step:
            case str():
                return self.node(step, spot, table)
            case Choose():
                return self.choose(step, spot, table)
            case Repeat():
                return self.repeat(step, spot, table)
            case Parallel():
                return self.parallel(step, spot, table)
            case Each():
                return self.each(step, spot, table)
            case SubGraph():
                return self.subgraph(step, spot, table)
            case AskHuman():
                return self.ask(step, table)
            case Return():
                named = {output: step.return_.get(output, output) for output in self.spec.outputs}
                outputs = {output: table[name] for output, name in named.items() if name in table}
                return Reached(None, FREE, {}, outputs)

    def node(self, name: str, spot: Spot, table: Table) -> Reached:
        item = self.spec.nodes[name]
        sizes = Sizes(table, self.prompts, self.case.scale)
        prices = {slot: self.prices.get(slot, Price()) for _, slot in item.references("model")}
        amount = self.case.node(item, sizes, list(prices.values()))
        step = f"{spot.where}:{name}"
        before = self.standing.get(step)
        self.standing[step] = Standing(self.prefix + name, prices, table if before is None else either([before.table, table]))
        limits, wrote = item.limits(sizes), {}
        for raw in item.writes():
            target = item.out.get(raw, raw)
            value = self.case.value(self.channels[target], limits.get(raw))
            wrote[target] = written(self.channels[target], table.get(target), value)
        return Reached(Bill({TOTAL: amount, step: amount}), None, {**table, **wrote})

    def choose(self, step: Choose, spot: Spot, table: Table) -> Reached:
        ways = []
        for index, branch in enumerate(step.choose):
            if isinstance(branch, When):
                inner = spot.inside(f"choose.{index}", "choose", index, "do")
                ways.append(self.steps(branch.do, inner, table))
            else:
                inner = spot.inside("choose.otherwise", "choose", index, "otherwise")
                ways.append(self.steps(branch.otherwise, inner, table))
        chance = 1 / len(ways)
        return Reached(
            self.one_of(*(self.weighed(way.on, chance) for way in ways)),
            self.one_of(*(self.weighed(way.back, chance) for way in ways)),
            either(way.table for way in ways),
            either(way.outputs for way in ways),
        )

    def weighed(self, way: Bill | None, chance: float) -> Bill | None:
        return None if way is None else self.case.weighed(way, chance)

    def repeat(self, step: Repeat, spot: Spot, table: Table) -> Reached:
        loop = step.repeat
        entered = {name: size for name, size in table.items() if name not in self.clears[spot.place]}
        rounds = self.rounds(step, spot, entered)
        if rounds.on is None or not isinstance(loop.on_exhausted, tuple):
            return rounds
        last = self.steps(loop.on_exhausted, spot.inside("exhausted", "repeat", "on_exhausted"), rounds.table)
        chance = 1.0 if loop.until is None else 0.5
        early = None if loop.until is None else self.weighed(rounds.on, 1 - chance)
        ended = rounds.on
        return Reached(
            self.one_of(early, self.weighed(followed(ended, last.on), chance)),
            self.one_of(rounds.back, self.weighed(followed(ended, last.back), chance)),
            last.table if early is None else either([rounds.table, last.table]),
            either([rounds.outputs, last.outputs]),
        )

    def rounds(self, step: Repeat, spot: Spot, table: Table) -> Reached:
        """What is known after the rounds. Sizes are followed while they grow, and at last taken to be at their bounds."""
        inner = spot.inside("repeat", "repeat", "do").in_loop()
        count = self.case.rounds(step.repeat)
        known = Reached(FREE)
        for number in range(1, count + 1):
            one = self.steps(step.repeat.do, inner, table)
            self.met(inner.where, one)
            known = self.with_round(known, one)
            if known.on is None:
                return known
            if number > spot.followed or one.table == table:
                return self.with_equal_rounds(known, one, count - number)
            table = self.grown(step.repeat.do, one.table) if number == spot.followed else one.table
        return known

    def with_round(self, known: Reached, one: Reached) -> Reached:
        """What is known with one more round."""
        if known.on is None:
            return known
        back = self.one_of(known.back, followed(known.on, one.back))
        tables, outputs = either([known.table, one.table]), either([known.outputs, one.outputs])
        return Reached(followed(known.on, one.on), back, tables, outputs)

    def with_equal_rounds(self, known: Reached, one: Reached, count: int) -> Reached:
        """What is known with so many more rounds that are all alike; they are doubled up."""
        while count:
            if count % 2:
                known = self.with_round(known, one)
            one, count = self.with_round(one, one), count // 2
        return known

    def grown(self, steps: Steps, table: Table) -> Table:
        """The sizes where every channel that the steps may write is as large as it can be."""
        names = self.writes.perhaps(steps) & table.keys()
        return {**table, **{name: widest(table[name], self.case.value(self.channels[name])) for name in names}}

    def parallel(self, step: Parallel, spot: Spot, table: Table) -> Reached:
        fork = step.parallel
        ends = {
            name: self.steps(steps, spot.inside(f"parallel.{name}", "parallel", "branches", name), table)
            for name, steps in fork.branches.items()
        }
        for name, end in ends.items():
            self.met(f"{spot.where}.parallel.{name}", end)
        bill = self.case.side_by_side([self.whole(end) for end in ends.values()], fork)
        self.met(f"{spot.where}.parallel", Reached(bill))
        wrote = self.joined(fork, {name: end.table for name, end in ends.items()}, table)
        return Reached(bill, None, {**table, **wrote})

    def joined(self, fork: ParallelSpec, ends: Mapping[str, Table], table: Table) -> Table:
        """The sizes of the channels that branches may write."""
        perhaps = {name: self.writes.perhaps(steps) for name, steps in fork.branches.items()}
        always = sure([self.writes.always(steps) or NONE for steps in fork.branches.values()], fork.sure)
        wrote = {}
        for channel in NONE.union(*perhaps.values()):
            values = [ends[name][channel] for name, names in perhaps.items() if channel in names and channel in ends[name]]
            if values:
                size = values[0] if len(values) == 1 else join_of(fork.join.get(channel), self.channels[channel], values)
                kept = channel in table and channel not in always and fork.sure < len(fork.branches)
                wrote[channel] = widest(table[channel], size) if kept else size
        return wrote

    def each(self, step: Each, spot: Spot, table: Table) -> Reached:
        each = step.each
        given = table.get(each.in_, Size(0))
        count = self.case.items(each, given)
        item = Size(1, min(given.bytes, given.total))
        inside = self.steps(each.do, spot.inside("each", "each", "do"), {**table, each.as_: item})
        one = self.whole(inside)
        self.met(f"{spot.where}.each", inside)
        bill = one.scaled(count).lasting(ceil(count / each.concurrency) * one.total.seconds)
        wrote = {}
        for source, target in each.collect.items():
            channel = self.channels[target]
            flat = self.channels[source].type == channel.type
            value = collected(inside.table.get(source, Size(0)), count, flat)
            wrote[target] = written(channel, table.get(target), value)
        return Reached(bill, None, {**table, **wrote})

    def subgraph(self, step: SubGraph, spot: Spot, table: Table) -> Reached:
        inner = self.spec.graphs[step.graph.use]
        walk = type(self).of(inner, self.case, self.prices, f"{self.prefix}{inner.name}/", self.standing)
        filled = {name: table.get(channel, Size(0)) for name, channel in step.graph.in_.items()}
        defaults = {name: measured(declared.default) for name, declared in inner.inputs.items() if not declared.required}
        bill, outputs = walk.graph(Spot(f"{spot.where}.graph", ("flow",), spot.followed), {**defaults, **filled})
        wrote = {}
        for output, target in step.graph.out.items():
            wrote[target] = written(self.channels[target], table.get(target), outputs.get(output, Size(0)))
        return Reached(bill, None, {**table, **wrote})

    def ask(self, step: AskHuman, table: Table) -> Reached:
        asked = step.ask_human
        longest = max((len(choice.encode()) for choice in asked.choices), default=None)
        value = self.case.value(self.channels[asked.out], None if longest is None else Size(1, longest))
        return Reached(FREE, None, {**table, asked.out: value})
