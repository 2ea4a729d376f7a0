"""The spans of one run that have begun and not ended, by the paths of their steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time_ns

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, set_span_in_context

from agentrag.core.paths import Level, levels
from agentrag.telemetry import attributes as named


@dataclass
class Open:
    """A span that has not ended.

    Attributes:
        context: The one in which it is the current span.
        begun, last: When it began, and when something in it ended last, in nanoseconds since 1970.
        ends: Whether an event tells its end; else it ends when the last thing in it ends.
    """

    path: str
    span: Span
    context: Context
    around: Open | None = None
    ends: bool = True
    begun: int = field(default_factory=time_ns)
    last: int = 0
    inside: dict[str, Open] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, span: Span, outer: Context) -> Open:
        """A span that has just begun."""
        return cls(path, span, set_span_in_context(span, outer))


class OpenSpans:
    """The open spans of a run. What is around a step begins with the first thing in it."""

    def __init__(self, tracer: Tracer, redact: Callable[[str], str], root: Open) -> None:
        self._tracer, self._redact, self.root = tracer, redact, root
        self._outer = contexts.get_current()
        self._open: dict[str, Open] = {}

    def found(self, path: str) -> Open | None:
        """The open span of exactly this path."""
        return self._open.get(path)

    def at(self, path: str) -> Open:
        """The span of a path, begun with those around it where it is not open."""
        if found := self._open.get(path):
            return found
        spot = self.root
        for level in levels(path):
            spot = self._open.get(level.path) or self._entered(spot, level)
        return spot

    def around(self, path: str) -> Open:
        """The innermost open span around a path, or of it."""
        spot = self.root
        for level in levels(path):
            spot = self._open.get(level.path, spot)
        return spot

    def begin(self, around: Open, path: str, name: str, begun: int | None = None) -> Open:
        """Begin a span."""
        span = self._tracer.start_span(
            self._redact(name), around.context, attributes={named.KIND: named.CHAIN, "agentrag.step": path}, start_time=begun
        )
        opened = Open.of(path, span, around.context)
        opened.around, opened.begun = around, begun or opened.begun
        around.inside[path] = self._open[path] = opened
        return opened

    def close(self, path: str, at: int | None = None, outcome: str = "") -> Open:
        """End the span of a path and all that is open in it; the span around it."""
        opened = self._open.get(path)
        if opened is None:
            return self.around(path)
        self._close(opened, at, outcome)
        return opened.around or self.root

    def close_all(self, outcome: str) -> None:
        """End all spans."""
        self._close(self.root, time_ns(), outcome)
        contexts.attach(self._outer)

    def _entered(self, around: Open, level: Level) -> Open:
        opened = self.begin(around, level.path, _name(level))
        opened.span.set_attribute("agentrag.kind", level.kind)
        opened.span.set_attribute("agentrag.number", level.number)
        opened.ends = level.kind == "node"
        return opened

    def _close(self, opened: Open, at: int | None, outcome: str) -> None:
        for inner in list(opened.inside.values()):
            if outcome and inner.ends and outcome not in ("done", "finished"):
                inner.span.set_attribute("agentrag.outcome", outcome)
            self._close(inner, None, outcome)
        end = at or (time_ns() if opened.ends or not opened.last else opened.last)
        opened.span.end(end)
        self._open.pop(opened.path, None)
        if opened.around is not None:
            opened.around.inside.pop(opened.path, None)
            opened.around.last = max(opened.around.last, end)


def _name(level: Level) -> str:
    """The name of a span: there are few of them, so that they can be grouped by."""
    if level.kind == "node":
        return f"node {level.name}"
    if level.kind in ("round", "item"):
        return f"{level.kind} {level.number}"
    return f"{level.kind} {level.name}".strip()
