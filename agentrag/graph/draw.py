"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from agentrag.graph.spec import Choose, GraphSpec, Step, When, use_of

Ends = list[tuple[str, str]]
"""Open ends: (node id, label of the arrow that leaves it)."""


def mermaid(spec: GraphSpec) -> str:
    """Draw the flow: boxes are nodes with their type and model slots, diamonds are choices.

    Texts of the graph are escaped: none of them can end a label or become markup.
    """
    drawing = _Drawing(spec)
    ends = drawing.sequence(spec.flow, [("start", "")])
    drawing.lines.append(f"    finish([{_quoted(', '.join(spec.outputs))}])")
    drawing.join(ends, "finish")
    first = f"    start([{_quoted(', '.join(spec.inputs))}])"
    return "\n".join(["flowchart TD", first, *drawing.lines]) + "\n"


@dataclass
class _Drawing:
    spec: GraphSpec
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def sequence(self, steps: tuple[Step, ...], ends: Ends) -> Ends:
        """Draw steps after the open ends, and return the ends that they leave open."""
        for step in steps:
            name = self._next()
            if isinstance(step, Choose):
                self.lines.append(f"    {name}{{{_quoted('choose')}}}")
                self.join(ends, name)
                ends = [end for label, inner in _branches(step) for end in self.sequence(inner, [(name, label)])]
            else:
                self.lines.append(f"    {name}[{_quoted(*self._label(step))}]")
                self.join(ends, name)
                ends = [(name, "")]
        return ends

    def join(self, ends: Ends, to: str) -> None:
        """Draw an arrow from each open end."""
        for name, label in ends:
            self.lines.append(f"    {name} -->|{_quoted(label)}| {to}" if label else f"    {name} --> {to}")

    def _next(self) -> str:
        self.count += 1
        return f"s{self.count}"

    def _label(self, name: str) -> Iterator[str]:
        item = self.spec.nodes[name]
        yield f"{name} ({use_of(item)})"
        slots = sorted({slot for _, slot in item.references("model")})
        if slots:
            yield f"model: {', '.join(slots)}"


def _branches(step: Choose) -> Iterator[tuple[str, tuple[Step, ...]]]:
    for branch in step.choose:
        yield (branch.when, branch.do) if isinstance(branch, When) else ("otherwise", branch.otherwise)


def _quoted(*lines: str) -> str:
    """A label in Mermaid's quotes; its entities begin with "#", and markdown signs have no meaning outside backticks."""
    texts = (escape(" ".join(line.split()).replace("#", "\0"), quote=True) for line in lines)
    joined = "<br/>".join(
        text.replace("&#x27;", "'").replace("&", "#").replace("\0", "#35;").replace("`", "#96;") for text in texts
    )
    return f'"{joined}"'
