"""Runs as spans: one per run, per step with its rounds, branches and attempts, and per outward call."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from time import time_ns
from typing import Any

from openinference.semconv.trace import SpanAttributes
from opentelemetry import context as contexts
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from agentrag.core.calls import OutwardCall
from agentrag.core.events import (
    AttemptFailed,
    BranchFinished,
    BudgetEnded,
    ChoiceMade,
    Degraded,
    Event,
    ItemsCut,
    LoopFinished,
    RoundFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepStarted,
)
from agentrag.core.paths import ROOT, part_of
from agentrag.core.redact import Redactor
from agentrag.telemetry import attributes as named
from agentrag.telemetry.attributes import Attributes
from agentrag.telemetry.fields import cost_of, fields_of, name_of
from agentrag.telemetry.open_spans import Open, OpenSpans
from agentrag.telemetry.watch import End, Outcome, Run, Watcher

_ATTEMPT = re.compile(r"~\d+$")
_HEARD_OTHERWISE = frozenset({"call_finished", "run_finished"})
_WITHOUT_TEXTS = (Degraded, BudgetEnded, ItemsCut)
"""Events whose texts come from the graph's file: they are told also where contents are not."""


@dataclass(frozen=True)
class Spans(Watcher):
    """Makes spans of what runs tell.

    The span of a node is the current one while the node runs, so that spans of its own code stand under it.

    Attributes:
        content: Whether spans hold texts.
    """

    tracer: Tracer
    redactor: Redactor
    content: bool
    open: dict[str, OpenSpans]

    def heard(self, run: Run, event: Event) -> None:
        """Begin or end spans as an event says; one that is new here becomes an event of the span around it."""
        if isinstance(event, RunStarted):
            self._begin(run)
        elif (spans := self.open.get(run.record.run)) is not None:
            known = _KNOWN.get(type(event))
            if known is not None:
                known(self, spans, event)
            else:
                self._other(spans, event)

    def ended(self, run: Run, end: End) -> None:
        """End the span of a run, and those in it that are still open."""
        spans = self.open.pop(run.record.run, None)
        if spans is None:
            return
        root = spans.root
        told: Attributes = {"agentrag.status": end.status}
        told |= {f"agentrag.{name}": value for name, value in cost_of(run.usage).items()}
        if self.content and end.outputs is not None:
            told |= named.data(json.loads(end.outputs), "output")
        self._set(root, told)
        if end.status == "failed":
            self._fail(root, end.error)
        elif end.reason:
            self._set(root, {"agentrag.reason": end.reason})
        spans.close_all(end.status)

    def calling(self, run: Run, call: OutwardCall) -> Callable[[Outcome], None] | None:
        """Begin the span of a call; it is current while the call lasts."""
        spans = self.open.get(run.record.run)
        if spans is None or call.kind not in named.OPERATIONS:
            return None
        around = spans.found(call.step) or spans.at(_ATTEMPT.sub("", call.step))
        operation, _ = named.OPERATIONS[call.kind]
        what = call.target if call.kind == "tool" else named.model_of(call.target)[1].partition("@")[0]
        span = self.tracer.start_span(
            f"{operation} {self.redactor.text(what)}",
            around.context,
            SpanKind.INTERNAL if call.kind == "tool" else SpanKind.CLIENT,
        )
        opened = Open.of(call.step, span, around.context)
        if span.is_recording():
            self._set(opened, named.asked(call, self.content))
        token = contexts.attach(opened.context)

        def close(outcome: Outcome) -> None:
            contexts.detach(token)
            if isinstance(outcome, Exception):
                self._fail(opened, str(outcome), outcome)
            elif isinstance(outcome, BaseException):
                self._set(opened, {"agentrag.outcome": "cancelled"})
            elif span.is_recording():
                self._set(opened, named.answered(call, outcome, self.content))
            span.end()

        return close

    def _begin(self, run: Run) -> None:
        record, outer = run.record, contexts.get_current()
        span = self.tracer.start_span(f"invoke_agent {self.redactor.text(record.graph)}", outer)
        root = Open.of(ROOT, span, outer)
        told: Attributes = {
            named.KIND: named.AGENT,
            named.OPERATION: "invoke_agent",
            named.AGENT_NAME: record.graph,
            SpanAttributes.AGENT_NAME: record.graph,
            SpanAttributes.SESSION_ID: record.run,
            "agentrag.run": record.run,
            "agentrag.graph": record.graph,
            "agentrag.tenant": record.tenant,
            "agentrag.parent": record.parent,
        }
        self._set(root, told | (named.data(record.inputs, "input") if self.content else {}))
        self.open[record.run] = OpenSpans(self.tracer, self.redactor.text, root)
        contexts.attach(root.context)  # in the task of the run; `close_all` makes the outer one current again

    def _step_started(self, spans: OpenSpans, event: StepStarted) -> None:
        opened = spans.at(event.step)
        self._set(opened, {"agentrag.node": event.node, SpanAttributes.GRAPH_NODE_ID: event.node})
        contexts.attach(opened.context)

    def _step_finished(self, spans: OpenSpans, event: StepFinished) -> None:
        if self.content:
            self._set(spans.at(event.step), named.data(event.wrote, "output"))
        self._leave(spans, event.step)

    def _step_failed(self, spans: OpenSpans, event: StepFailed) -> None:
        self._fail(spans.at(event.step), event.reason, sys.exception())  # it is told while the error is handled
        self._leave(spans, event.step)

    def _leave(self, spans: OpenSpans, step: str) -> None:
        around = spans.close(step)
        contexts.attach(around.context)

    def _attempt_failed(self, spans: OpenSpans, event: AttemptFailed) -> None:
        """End the span of an attempt and begin the next one's; that the first was not the last is known only now."""
        node = spans.at(event.step)
        path = f"{event.step}~{event.attempt}"
        attempt = spans.found(path) or spans.begin(node, path, f"attempt {event.attempt}", node.begun)
        self._fail(attempt, event.reason)
        spans.close(path, time_ns())
        following = spans.begin(node, f"{event.step}~{event.attempt + 1}", f"attempt {event.attempt + 1}")
        contexts.attach(following.context)

    def _choice_made(self, spans: OpenSpans, event: ChoiceMade) -> None:
        self._set(spans.at(event.step), {"agentrag.choice": event.branch})

    def _round_finished(self, spans: OpenSpans, event: RoundFinished) -> None:
        told = {"agentrag.until": event.until, "agentrag.best_by": event.best_by}
        told |= {"agentrag.measures": named.plain(event.measures)} if event.measures else {}
        path = f"{event.step}#{event.number}"
        self._set(spans.at(path), told)
        spans.close(path)

    def _loop_finished(self, spans: OpenSpans, event: LoopFinished) -> None:
        told = {name: value for name, value in asdict(event).items() if name != "step"}
        self._set(spans.at(event.step), {f"agentrag.loop.{name}": value for name, value in told.items()})
        spans.close(event.step)

    def _branch_finished(self, spans: OpenSpans, event: BranchFinished) -> None:
        branch = spans.at(part_of(event.step, event.branch))
        if event.outcome == "failed":
            self._fail(branch, event.reason)
        self._set(branch, {"agentrag.outcome": event.outcome})
        spans.close(branch.path, outcome=event.outcome)

    def _other(self, spans: OpenSpans, event: Event) -> None:
        name = name_of(event)
        if name in _HEARD_OTHERWISE:
            return
        around = spans.around(getattr(event, "step", ""))
        told = fields_of(event, self.redactor.text)
        if not self.content and not isinstance(event, _WITHOUT_TEXTS):
            told = {field: value for field, value in told.items() if field == "step" or not isinstance(value, str)}
        around.span.add_event(name, told)

    def _set(self, opened: Open, told: Mapping[str, Any]) -> None:
        """Set attributes, redacted; empty ones are left out, and data is written as JSON."""
        if not opened.span.is_recording():
            return
        for name, value in told.items():
            if value is None or value == "":
                continue
            shown = self.redactor.data(value)
            if isinstance(shown, dict) or (name.endswith(".value") and not isinstance(shown, str)):
                shown = json.dumps(shown, ensure_ascii=False)
            opened.span.set_attribute(name, shown)

    def _fail(self, opened: Open, reason: str, error: BaseException | None = None) -> None:
        """Say of a span that it failed; the traceback, which may quote texts, only where contents are told."""
        said = self.redactor.text(" ".join(reason.split()))
        told = {"exception.message": said}
        if error is not None:
            told["exception.type"] = type(error).__qualname__
            if self.content:
                told["exception.stacktrace"] = self.redactor.text("".join(traceback.format_exception(error)))
        opened.span.add_event("exception", told)
        opened.span.set_status(Status(StatusCode.ERROR, said))


_KNOWN: Mapping[type, Callable[[Spans, OpenSpans, Any], None]] = {
    StepStarted: Spans._step_started,
    StepFinished: Spans._step_finished,
    StepFailed: Spans._step_failed,
    AttemptFailed: Spans._attempt_failed,
    ChoiceMade: Spans._choice_made,
    RoundFinished: Spans._round_finished,
    LoopFinished: Spans._loop_finished,
    BranchFinished: Spans._branch_finished,
}
