"""Whatever becomes of an endpoint or of who watches, runs go on as they would without; what is off is not loaded."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from agentrag.core.calls import OutwardCall
from agentrag.core.events import Event, RunFinished
from agentrag.core.settings import Settings
from agentrag.graph.interpreter import execute
from agentrag.telemetry.provider import flush
from agentrag.telemetry.watch import End, Run, Watch, Watcher
from agentrag.telemetry.watched import watched
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import program
from tests.telemetry.receiver import receiving

FLOW = "  - repeat: {do: [ask, tell], at_most: 3}\n"
EXPORTERS = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


async def told(settings: Settings, runs: int = 1) -> list[str]:
    """The events of runs of one graph, as what they are and where."""
    heard: list[Event] = []
    deps = fake_deps(ScriptedModel(lambda request: "yes"), events=heard)
    back_ends = watched(deps, settings)
    made = program(FLOW)
    for _ in range(runs):
        assert await execute(made, {"question": "cat"}, back_ends) == {"answer": "cat yes"}
    return [f"{type(event).__name__} {getattr(event, 'step', '')}" for event in heard]


@pytest.mark.parametrize("behaviour", ["down", "slow", "503", "500", "400"])
async def test_a_run_tells_the_same_whatever_the_endpoint_does(behaviour: str) -> None:
    alone = await told(Settings())
    with receiving("ok" if behaviour == "down" else behaviour) as receiver:
        url = "http://127.0.0.1:9" if behaviour == "down" else receiver.url
        assert await told(Settings.model_validate({"telemetry": {"otlp": url}})) == alone
        await asyncio.to_thread(flush, 0.1)
        assert receiver.spans == []


async def test_an_endpoint_that_does_not_answer_is_waited_for_once_and_not_long() -> None:
    with receiving("slow") as receiver:
        await told(Settings.model_validate({"telemetry": {"otlp": receiver.url}}))
        assert await asyncio.to_thread(flush, 0.1) is False
        assert await asyncio.to_thread(flush, 3600) is False


async def test_more_spans_than_the_queue_holds_are_dropped_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    with receiving("slow") as receiver:
        heard = await told(Settings.model_validate({"telemetry": {"otlp": receiver.url}}), runs=20)
        assert heard.count("RunFinished ") == 20
    assert [record.getMessage() for record in caplog.records].count("Queue full, dropping Span.") == 1


async def test_an_endpoint_that_refuses_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with receiving("400") as receiver:
        for _ in range(3):
            await told(Settings.model_validate({"telemetry": {"otlp": receiver.url}}))
            await asyncio.to_thread(flush, 10)
        assert len(receiver.bodies) == 3
    assert len([record for record in caplog.records if record.name == EXPORTERS]) == 1


class Faulty(Watcher):
    """Fails wherever it can."""

    def heard(self, run: Run, event: Event) -> None:
        raise ValueError("heard")

    def calling(self, run: Run, call: OutwardCall) -> None:
        raise ValueError("calling")

    def ended(self, run: Run, end: End) -> None:
        raise ValueError("ended")


async def test_a_watcher_that_fails_fails_no_run_and_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    deps = fake_deps(ScriptedModel(lambda request: "yes"), events=heard)
    watch = Watch(deps.journal, deps.listen, [Faulty()])
    assert await execute(program(FLOW), {"question": "cat"}, deps.but(journal=watch, listen=watch.listen)) == {
        "answer": "cat yes"
    }
    assert isinstance(heard[-1], RunFinished)
    assert [record.levelno for record in caplog.records if record.name == "agentrag.telemetry"] == [logging.WARNING]


async def test_runs_whose_end_is_not_heard_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentrag.telemetry.watch._MOST", 3)
    deps = fake_deps(ScriptedModel([]))
    watch = Watch(deps.journal, deps.listen, [Watcher()])
    for _ in range(9):
        with pytest.raises(Exception, match="script"):
            await execute(program("  - ask\n"), {"question": "cat"}, deps.but(listen=watch.listen))
    assert len(watch._runs) == 3


SCRIPT = """
import asyncio, sys
from pathlib import Path
from agentrag import Graph
from agentrag.core.settings import Settings
graph = Graph.load(sys.argv[1])
settings = Settings(home=Path(sys.argv[2]), cache=Path(sys.argv[2]), telemetry={"otlp": sys.argv[3] or None})
print(graph.run_sync(settings=settings, question="cat").outputs)
lazy = ("agentrag.telemetry.spans", "opentelemetry.exporter", "pythonjsonlogger", "re2")
print([name for name in lazy if name in sys.modules])
"""
GRAPH = """\
agentrag: 1
name: plain
inputs: {question: str}
outputs: [text]
nodes:
  say: {use: compose, text: "{question}!"}
flow: [say]
"""


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_nothing_of_it_is_loaded_unless_it_is_on_and_the_end_of_a_process_exports(tmp_path: Path, on: bool) -> None:
    graph = tmp_path / "plain.yaml"
    graph.write_text(GRAPH, encoding="utf-8")
    with receiving() as receiver:
        arguments = [str(graph), str(tmp_path), receiver.url if on else ""]
        done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True)
        names = [span.name for span in receiver.spans]
    loaded = ["agentrag.telemetry.spans", "opentelemetry.exporter"] if on else []
    assert done.stdout.splitlines()[-1] == str(loaded)
    assert names == (["node say", "invoke_agent plain"] if on else [])


OWN = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from pathlib import Path
from agentrag import Graph
from agentrag.core.settings import Settings
settings = Settings(home=Path(sys.argv[2]), cache=Path(sys.argv[2]), telemetry={"otlp": sys.argv[3]})
with trace.get_tracer("mine").start_as_current_span("request"):
    Graph.load(sys.argv[1]).run_sync(settings=settings, question="cat")
print([span.name for span in exporter.get_finished_spans()], trace.get_tracer_provider() is provider)
"""


def test_a_provider_that_the_process_has_is_used_and_not_replaced(tmp_path: Path) -> None:
    graph = tmp_path / "plain.yaml"
    graph.write_text(GRAPH, encoding="utf-8")
    with receiving() as receiver:
        arguments = [str(graph), str(tmp_path), receiver.url]
        done = subprocess.run([sys.executable, "-c", OWN, *arguments], capture_output=True, text=True, check=True)
        assert receiver.bodies == []
    assert done.stdout == "['node say', 'invoke_agent plain', 'request'] True\n"
