"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from agentrag.graph.spec import GraphSpec, use_of
from agentrag.graph.steps import (
    AskHuman,
    Choose,
    Each,
    EachSpec,
    Parallel,
    ParallelSpec,
    Repeat,
    RepeatSpec,
    Return,
    Step,
    Steps,
    SubGraph,
    When,
)

Ends = list[tuple[str, str]]
"""Open ends: (node id, label of the arrow that leaves it)."""


def mermaid(spec: GraphSpec) -> str:
    """Draw the flow: boxes are nodes with their type and model slots, diamonds are choices, frames are what runs repeatedly.

    Shapes come first, then the arrows between them. Texts of the graph are escaped: none of them can end a label or become
    markup.
    """
    drawing = _Drawing(spec)
    drawing.shape("start", "([", "])", ", ".join(spec.inputs))
    ends = drawing.sequence(spec.flow, [("start", "")])
    drawing.shape("finish", "([", "])", ", ".join(spec.outputs))
    drawing.join(ends, "finish")
    return "\n".join(["flowchart TD", *drawing.shapes, *drawing.arrows]) + "\n"


@dataclass
class _Drawing:
    """What is drawn so far. Arrows stand behind all shapes: one that leaves a frame would pull its begin into it."""

    spec: GraphSpec
    shapes: list[str] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    depth: int = 1
    count: int = 0
    frames: int = 0

    def sequence(self, steps: Steps, ends: Ends) -> Ends:
        """Draw steps after the open ends, and return the ends that they leave open."""
        for step in steps:
            ends = self._step(step, ends)
        return ends

    def _step(self, step: Step, ends: Ends) -> Ends:
        if isinstance(step, Choose):
            return self._choose(step, ends)
        if isinstance(step, Repeat):
            return self._repeat(step.repeat, ends)
        if isinstance(step, Parallel):
            return self._parallel(step.parallel, ends)
        if isinstance(step, Each):
            return self._each(step.each, ends)
        if isinstance(step, Return):
            sources = (f"{output} from {channel}" for output, channel in step.return_.items())
            self.join(self._next(ends, "(", ")", "return", *sources), "finish")
            return []
        if isinstance(step, SubGraph):
            return self._next(ends, "[[", "]]", f"graph {step.graph.use}")
        if isinstance(step, AskHuman):
            choices = ", ".join(step.ask_human.choices)
            return self._next(ends, "[/", "/]", f"ask: {step.ask_human.question}", *([choices] if choices else []))
        return self._next(ends, "[", "]", *self._label(step))

    def _choose(self, step: Choose, ends: Ends) -> Ends:
        ((name, _),) = self._next(ends, "{", "}", "choose")
        return [end for label, inner in _branches(step) for end in self.sequence(inner, [(name, label)])]

    def _repeat(self, loop: RepeatSpec, ends: Ends) -> Ends:
        before = self.count
        self._open("repeat", *([f"best by {loop.best_by}"] if loop.best_by else []))
        ends = self.sequence(loop.do, ends)
        if len(ends) > 1 or any(label for _, label in ends) or self.count == before:
            ends = self._next(ends, "((", "))", "round")
        self._close()
        first = f"s{before + 1}"
        again = f"at most {loop.at_most} rounds" + (", then the run fails" if loop.on_exhausted == "fail" else "")
        for name, _ in ends:
            self._arrow(name, first, *([f"until {loop.until}"] if loop.until else []), again)
        if not isinstance(loop.on_exhausted, tuple):
            return ends
        done = [(name, loop.until) for name, _ in ends if loop.until]
        return done + self.sequence(loop.on_exhausted, [(name, again) for name, _ in ends])

    def _parallel(self, fan: ParallelSpec, ends: Ends) -> Ends:
        ((fork, _),) = self._next(ends, "[/", "\\]", "parallel")
        ends = [end for name, steps in fan.branches.items() for end in self.sequence(steps, [(fork, name)])]
        return self._next(ends, "[\\", "/]", *_gathered(fan)) if ends else []

    def _each(self, fan: EachSpec, ends: Ends) -> Ends:
        bounds = f"at most {fan.at_most}, {fan.concurrency} at once"
        collected = (f"{channel} to {target}" for channel, target in fan.collect.items())
        left_out = ["failed items are left out"] if fan.on_error == "collect" else []
        self._open(f"for each {fan.as_} in {fan.in_} ({bounds})", *collected, *left_out)
        ends = self.sequence(fan.do, ends)
        self._close()
        return ends

    def shape(self, name: str, left: str, right: str, *lines: str) -> None:
        """Draw a shape."""
        self.shapes.append(f"{'    ' * self.depth}{name}{left}{_quoted(*lines)}{right}")

    def join(self, ends: Ends, to: str) -> None:
        """Draw an arrow from each open end."""
        for name, label in ends:
            self._arrow(name, to, *([label] if label else []))

    def _next(self, ends: Ends, left: str, right: str, *lines: str) -> Ends:
        """Draw the next shape after the open ends; its own end is open then."""
        self.count += 1
        name = f"s{self.count}"
        self.shape(name, left, right, *lines)
        self.join(ends, name)
        return [(name, "")]

    def _arrow(self, name: str, to: str, *lines: str) -> None:
        label = f"|{_quoted(*lines)}|" if lines else ""
        self.arrows.append(f"    {name} -->{label} {to}")

    def _open(self, *lines: str) -> None:
        self.frames += 1
        self.shapes.append(f"{'    ' * self.depth}subgraph f{self.frames}[{_quoted(*lines)}]")
        self.depth += 1

    def _close(self) -> None:
        self.depth -= 1
        self.shapes.append(f"{'    ' * self.depth}end")

    def _label(self, name: str) -> Iterator[str]:
        item = self.spec.nodes[name]
        yield f"{name} ({use_of(item)})"
        slots = sorted({slot for _, slot in item.references("model")})
        if slots:
            yield f"model: {', '.join(slots)}"


def _branches(step: Choose) -> Iterator[tuple[str, Steps]]:
    for branch in step.choose:
        yield (branch.when, branch.do) if isinstance(branch, When) else ("otherwise", branch.otherwise)


def _gathered(fan: ParallelSpec) -> Iterator[str]:
    """What becomes of the branches."""
    yield "join"
    yield from (f"{channel}: {join}" for channel, join in fan.join.items())
    if fan.wait != "all":
        yield f"wait for {fan.need} of {len(fan.branches)}"
    if fan.on_error == "collect":
        yield "failed branches are left out"


def _quoted(*lines: str) -> str:
    """A label in Mermaid's quotes; its entities begin with "#", and markdown signs have no meaning outside backticks."""
    texts = (escape(" ".join(line.split()).replace("#", "\0"), quote=True) for line in lines)
    joined = "<br/>".join(
        text.replace("&#x27;", "'").replace("&", "#").replace("\0", "#35;").replace("`", "#96;") for text in texts
    )
    return f'"{joined or " "}"'  # Mermaid has no empty labels
