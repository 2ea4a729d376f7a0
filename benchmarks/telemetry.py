"""What watching a run costs: 9 nodes that do nothing, bare, logged to nobody, and traced, encoding for OTLP included.

Nodes that do nothing are the worst case: what a span costs, most of it in OpenTelemetry's SDK, is 0.1 ms, and a call of a model
takes a thousand times that. Bar: a traced run takes at most 10 times the processor of a bare one, one whose spans go nowhere
at most 1.25 times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from agentrag.core.deps import Deps
from agentrag.core.settings import Settings
from agentrag.graph.flow.program import Program
from agentrag.graph.interpreter import execute
from agentrag.telemetry.watched import watched
from agentrag.testing.fakes import fake_deps
from benchmarks.clock import cpu_per_run, verdict
from benchmarks.ours import NOTE, graph_of, loop_text
from benchmarks.peers.work import QUESTION, Run

NODES, RUNS, ROUNDS = 9, 100, 9
BARE, OFF, ON, CONTENT = "bare", "watched, telemetry off", "traced", "traced, with contents"
BARS = {OFF: 1.25, ON: 10.0}


class Encoder(SpanExporter):
    """Does all that an exporter does but send."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode spans and forget them."""
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def traced_settings(content: bool) -> Settings:
    """Settings that send spans to the process' own provider."""
    return Settings.model_validate({"telemetry": {"otlp": "http://127.0.0.1:4318", "content": content}})


def ways() -> dict[str, Run]:
    """The same run, watched in each way."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Encoder()))
    trace.set_tracer_provider(provider)
    program = Program.of(graph_of(loop_text([f"use: {NOTE}"] * NODES, 1)).spec)
    settings = {OFF: Settings(), ON: traced_settings(False), CONTENT: traced_settings(True)}

    def way(name: str) -> Run:
        deps = fake_deps()
        watching: Deps = watched(deps, settings[name]) if name in settings else deps

        async def run() -> object:
            return await execute(program, {"question": QUESTION}, watching)

        return run

    return {name: way(name) for name in (BARE, OFF, ON, CONTENT)}


def report(found: Mapping[str, float]) -> str:
    """The table of what was measured."""
    lines = [f"{f'{NODES} nodes, nothing in them':28}{'us/run':>9}{'us/node':>9}{'x bare':>8}"]
    lines += [f"{name:28}{value:9.0f}{value / NODES:9.1f}{value / found[BARE]:8.2f}" for name, value in found.items()]
    return "\n".join([*lines, *(verdict(name, found[name] / found[BARE], bar, "x bare") for name, bar in BARS.items())])


def main() -> None:
    """Print the table."""
    print(report(asyncio.run(cpu_per_run(ways(), RUNS, ROUNDS))))


if __name__ == "__main__":
    main()
