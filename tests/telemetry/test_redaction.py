"""No planted secret leaves a run: not in its exports, nor in spans with contents, nor in logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import TypeAdapter

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError, RunError
from agentrag.core.observing import redactor_of
from agentrag.core.settings import Settings
from agentrag.core.types import Passage
from agentrag.graph.interpreter import execute
from agentrag.journal.export import export_lines
from agentrag.journal.sqlite import SqliteJournal
from agentrag.telemetry.logs import TextFormatter, json_formatter
from agentrag.telemetry.records import Records
from agentrag.telemetry.spans import Spans
from agentrag.telemetry.watch import Watch
from agentrag.testing.fakes import ScriptedModel, fake_deps
from tests.graph.flow.running import program
from tests.graph.sample_nodes import Say
from tests.telemetry.receiver import Receiver
from tests.telemetry.tracing import run, traced

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LETTERS = st.text(ALPHABET, min_size=24, max_size=40)
ODD = st.text("".join(map(chr, range(33, 127))) + "äß語", min_size=8, max_size=24)
AROUND = st.text("abc .,:;\n\"'()", max_size=12)
PATTERN = r"case-file (?P<id>[0-9]{6}/[0-9]{2})"


@dataclass(frozen=True)
class Planted:
    """A secret, the text that it stands in, and whether it is known by its value."""

    secret: str
    text: str
    known: bool = False


def shaped(form: str) -> st.SearchStrategy[Planted]:
    return st.builds(
        lambda secret: Planted(secret, form.format(secret)), LETTERS.filter(lambda text: any(map(str.isdigit, text)))
    )


SHAPED = st.one_of(
    *map(shaped, ["sk-{}", "Authorization: Bearer {}", "https://u:{}@host/", "api_key={}", "ghp_{}abcdef", '"password": "{}"'])
)
KNOWN = st.builds(lambda secret, before, after: Planted(secret, f"{before}{secret}{after}", True), ODD, AROUND, AROUND)
OWN = st.builds(
    lambda number, year: Planted(f"{number}/{year}", f"of case-file {number}/{year}."),
    st.integers(100_000, 999_999),
    st.integers(10, 99),
)
PLANTED = st.one_of(SHAPED, KNOWN, OWN)


def nested(planted: Planted) -> st.SearchStrategy[Any]:
    """The text somewhere in JSON data: in lists, under names, as a name, in JSON inside of a text."""
    leaf = st.just(planted.text)
    names = st.sampled_from(["a", "notes", "headers"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.dictionaries(names, inner, min_size=1, max_size=2),
            st.just({planted.text: 1}),
            inner.map(json.dumps),
        ),
        max_leaves=4,
    )


@dataclass(frozen=True)
class World:
    """Where secrets are planted."""

    planted: Planted
    data: Any


@st.composite
def worlds(draw: st.DrawFn) -> World:
    planted = draw(PLANTED)
    small = nested(planted).filter(lambda data: len(json.dumps(data)) < 2000)  # JSON in JSON in JSON doubles each time
    return World(planted, draw(small))


class Busy(Say):
    """Calls a tool with data, asks and fails as it is told to."""

    data: Any = None
    reason: str = ""

    async def __call__(self, state: State, deps: Deps) -> State:
        async def work(key: str) -> Any:
            return {"echo": self.data}

        await deps.tool("echo", {"given": self.data}, work, TypeAdapter(Any), "read")
        raise ModelError(self.reason)


def told_of(world: World, folder: Path, secrets: Mapping[str, Any]) -> dict[str, str]:
    """Everything that left a run in which the secret stands everywhere, by where it went."""
    planted, settings = world.planted, Settings.model_validate(secrets)
    exporter, provider, stream = InMemorySpanExporter(), TracerProvider(), io.StringIO()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    redactor = redactor_of(settings)
    text = planted.text
    fakes = fake_deps(ScriptedModel(lambda request: text), [Passage(text, text, text, heading=text, metadata={"m": text})])
    journal = SqliteJournal(folder / "journal.sqlite")
    watchers = [Spans(provider.get_tracer("t"), redactor, True, {}), Records(redactor)]
    watch = Watch(journal, fakes.listen, watchers)
    made = program("  - search\n  - ask\n  - fast\n")
    spec = made.spec.model_copy(update={"nodes": {**made.spec.nodes, "fast": Busy(text="x", data=world.data, reason=text)}})
    handlers = [_handler(TextFormatter("%(message)s", redactor), stream), _handler(json_formatter(redactor), stream)]
    try:
        deps = fakes.but(journal=watch, listen=watch.listen, run="r1")
        with pytest.raises(RunError) as caught:
            asyncio.run(execute(type(made).of(spec), {"question": text, "xs": [text]}, deps))
        logging.getLogger("agentrag.x").error("it said %s", text, exc_info=caught.value, extra={"data": world.data})
    finally:
        for handler in handlers:
            logging.getLogger("agentrag").removeHandler(handler)
        journal.close()
    lines = "\n".join(export_lines(folder / "journal.sqlite", ["r1"], redact=redactor.data))
    (folder / "journal.sqlite").unlink()
    spans = "\n".join(span.to_json() for span in exporter.get_finished_spans())
    return {"exports": lines, "spans": spans, "logs": stream.getvalue()}


def _handler(formatter: logging.Formatter, stream: io.StringIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.getLogger("agentrag").addHandler(handler)
    return handler


@given(worlds())
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_secret_leaves_a_run(tmp_path: Path, world: World) -> None:
    secret = world.planted.secret
    binding = {"provider": "openai-compatible", "url": "http://x/v1", "model": "m", "api_key": secret}
    settings: dict[str, Any] = {"redact": [PATTERN], "models": {"a": binding} if world.planted.known else {}}
    told = told_of(world, tmp_path, settings)
    assert all("[redacted]" in text for text in told.values())
    for where, text in told.items():
        for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
            assert form not in text, where


async def test_nothing_planted_is_in_what_an_endpoint_receives(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_HEADERS", "authorization=very-hidden-value")
    text = "very-hidden-value and sk-abcdefghij1234567890 and password: hunter22"
    deps = fake_deps(ScriptedModel([text, ModelError(text)]), [Passage(text, text, text)])
    made = traced(receiver, deps, content=True, headers_env="MY_HEADERS")
    assert isinstance(await run("  - search\n  - ask\n  - repeat: {do: [ask], at_most: 1}\n", made, question=text), RunError)
    assert len(receiver.spans) == 9
    body = b"".join(receiver.bodies)
    assert body.count(b"[redacted]") > 20
    assert not [secret for secret in (b"very-hidden", b"abcdefghij", b"hunter22") if secret in body]
