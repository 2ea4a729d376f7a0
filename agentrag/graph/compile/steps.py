"""A graph as one LangGraph node per step, for LangGraph's drawing, its state history and its tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from langchain_core.runnables import Runnable
from langgraph.channels import UntrackedValue
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agentrag.core.deps import Deps
from agentrag.core.errors import Problem, SpecError
from agentrag.graph.cel.expressions import Expression
from agentrag.graph.compile.checkpoints import Saver, allowing
from agentrag.graph.compile.state import NOW, RUN, Absent, Lap, Ledger, Slot
from agentrag.graph.compile.step_nodes import Begin, Between, Choice, Enter, Here, Judge, LangGraphNode, Plain, Step
from agentrag.graph.compile.whole import Compiled
from agentrag.graph.flow.choose import Branching
from agentrag.graph.flow.each import Map
from agentrag.graph.flow.frame import Op, Sequence
from agentrag.graph.flow.node import RunNode
from agentrag.graph.flow.other import Ask, End, Nested
from agentrag.graph.flow.parallel import Fork
from agentrag.graph.flow.program import Program
from agentrag.graph.flow.repeat import Loop
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import with_inner

Ends = list[tuple[str, str]]
"""Open ends: (node, label of the arrow that leaves it)."""
_FIRST, _LAST = "flow.begin", "flow.end"
_WORDS: Mapping[type, str] = {Fork: "parallel", Map: "each", Nested: "graph", Ask: "ask_human"}


def compile_steps(spec: GraphSpec, checkpointer: Saver | None = None) -> Compiled:
    """Make a LangGraph graph of a checked graph, with a node for each step outside of `parallel`, `each` and `graph`.

    It takes and returns what `compile_graph`'s does. Its state keys are the graph's channels. A node that stands once in
    the flow keeps its name ("write"); other steps are named by their path ("flow.2.choose").
    Cost: about 0.3 ms CPU per step; 1 ms with SQLite's checkpointer.

    Raises:
        SpecError: It, or a graph that it runs, has a budget.
    """
    limited = [each.name for each in with_inner(spec) if each.budget is not None]
    if limited:
        what = "LangGraph decides there which step runs next, and no budget could be kept; export it whole, without steps=True"
        raise SpecError([Problem(f"graph '{name}'", 0, 0, "budget", what) for name in limited])
    program = Program.of(spec)
    layout = _Layout(program)
    layout.add(_FIRST, Begin(program), [(START, "")])
    ends = layout.sequence(program.flow, Here("flow"), [(_FIRST, "")])
    if ends:
        layout.step(_LAST, Plain(Here(_LAST), End({name: name for name in spec.outputs})), ends)
    kinds = {name: channel.type for name, channel in program.channels.items()}
    taken = TypedDict("Inputs", {name: kinds[name] for name in spec.inputs}, total=False)  # type: ignore[misc]  # names are data
    result = TypedDict("Outputs", {name: kinds[name] for name in spec.outputs}, total=False)  # type: ignore[misc]
    state = TypedDict("State", {**_slots(kinds), **_private(layout)}, total=False)  # type: ignore[misc]
    builder = StateGraph(state, context_schema=Deps, input_schema=taken, output_schema=result)
    layout.build(builder)
    compiled = cast("Compiled", builder.compile(allowing(checkpointer, [*kinds.values(), Lap, Absent]), name=spec.name))
    compiled.stream_channels = list(kinds)
    # `with_config` would forget the types of the state; LangGraph asks for one step more than it takes
    compiled.config = {"recursion_limit": 1 + _most(program.flow) + 1 + 1}
    return compiled


def _slots(kinds: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Annotated[kind, Slot] for name, kind in kinds.items()}


def _private(layout: _Layout) -> dict[str, Any]:
    loops = {step.here.key: Annotated[Lap, Slot] for step in layout.steps.values() if isinstance(step, Enter)}
    return {RUN: Annotated[str, Slot], NOW: Annotated[Ledger, UntrackedValue], **loops}


def _most(steps: Sequence) -> int:
    """Most nodes that run one after the other."""
    return sum(map(_most_of, steps.ops))


def _most_of(op: Op) -> int:
    if isinstance(op, Branching):
        return 1 + max(_most(steps) for _, steps in _branches(op))
    if isinstance(op, Loop):
        after = _most(op.exhausted) if isinstance(op.exhausted, Sequence) else 0
        return 1 + op.at_most * (_most(op.do) + 1) + after
    return 1


def _branches(op: Branching) -> Iterator[tuple[str, Sequence]]:
    """The branches with their names in paths."""
    for index, (_, steps) in enumerate(op.branches):
        yield str(index), steps
    yield "otherwise", op.otherwise


@dataclass
class _Layout:
    """The nodes and arrows of a flow."""

    program: Program
    nodes: dict[str, LangGraphNode] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    arrows: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._uses = Counter(op.name for op in _flat(self.program.flow) if isinstance(op, RunNode))

    def build(self, builder: StateGraph[Any, Deps, Any, Any]) -> None:
        """Give nodes and arrows to LangGraph."""
        for name, node in self.nodes.items():
            builder.add_node(name, cast("Runnable[Any, Any]", node))
        for name in (START, *self.nodes):
            step, targets = self.steps.get(name), self.arrows.get(name, {"": END})
            if isinstance(step, Choice | Judge):
                builder.add_conditional_edges(name, step.route, cast("dict[Hashable, str]", targets))
            else:
                builder.add_edge(name, targets[""])

    def add(self, name: str, node: LangGraphNode, ends: Ends) -> None:
        self.nodes[name] = node
        for source, label in ends:
            self.arrows.setdefault(source, {})[label] = name

    def step(self, name: str, step: Step, ends: Ends) -> Ends:
        self.steps[name] = step
        self.add(name, Between(self.program, step), ends)
        return [(name, "")]

    def sequence(self, steps: Sequence, here: Here, ends: Ends) -> Ends:
        """Lay out steps after the open ends; the ends that they leave open."""
        for index, op in enumerate(steps.ops):
            ends = self.op(op, here.below(f".{index}"), ends)
        return ends

    def op(self, op: Op, here: Here, ends: Ends) -> Ends:
        match op:
            case Branching():
                return self.choose(op, here.below(".choose"), ends)
            case Loop():
                return self.repeat(op, here, ends)
            case End():
                self.step(f"{here.path}.return", Plain(here, op), ends)
                return []
            case RunNode():
                name = op.name if self._uses[op.name] == 1 else f"{here.path}.{op.name}"
                return self.step(name, Plain(here, op), ends)
        return self.step(f"{here.path}.{_WORDS[type(op)]}", Plain(here, op), ends)

    def choose(self, op: Branching, here: Here, ends: Ends) -> Ends:
        self.step(here.path, Choice(here, op), ends)
        left: Ends = []
        for label, steps in _branches(op):
            left += self.sequence(steps, here.below(f".{label}"), [(here.path, label)])
        return left

    def repeat(self, op: Loop, outside: Here, ends: Ends) -> Ends:
        here = outside.below(".repeat")
        enter, judge = here.path, f"{here.path}.end"
        inside = self.sequence(op.do, here.inside, self.step(enter, Enter(here, op), ends))
        if not inside:
            return []  # every round returns from the graph
        self.step(judge, Judge(here, op, _measured(op)), inside)
        if op.at_most > 1:
            self.arrows.setdefault(judge, {})["again"] = self.arrows[enter][""]
        if not isinstance(op.exhausted, Sequence):
            return [(judge, "done")]
        after = self.sequence(op.exhausted, outside.below(".exhausted"), [(judge, "exhausted")])
        return after if op.until is None else [(judge, "done"), *after]


def _flat(steps: Sequence) -> Iterator[Op]:
    """The steps that become nodes."""
    for op in steps.ops:
        yield op
        for inner in _inner(op):
            yield from _flat(inner)


def _inner(op: Op) -> Iterator[Sequence]:
    if isinstance(op, Branching):
        yield from (steps for _, steps in _branches(op))
    elif isinstance(op, Loop):
        yield op.do
        if isinstance(op.exhausted, Sequence):
            yield op.exhausted


def _measured(loop: Loop) -> frozenset[str]:
    """The channels under measures that look at the rounds of this loop."""
    expressions = [loop.until, loop.best_by, *_conditions(loop.do)]
    return frozenset().union(*(each.measured for each in expressions if each is not None))


def _conditions(steps: Sequence) -> Iterator[Expression]:
    """The conditions in steps, but for those that another loop or graph around them has rounds for."""
    for op in steps.ops:
        match op:
            case Branching():
                yield from (condition for condition, _ in op.branches)
                inner = [steps for _, steps in _branches(op)]
            case Loop():
                inner = [op.exhausted] if isinstance(op.exhausted, Sequence) else []
            case Fork():
                inner = list(op.branches.values())
            case Map():
                inner = [op.do]
            case _:
                inner = []
        for each in inner:
            yield from _conditions(each)
