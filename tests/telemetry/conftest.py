"""The sample nodes of the graph tests are registered here too; every test has exporters of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentrag.core.node import node
from agentrag.telemetry import provider
from tests.graph.sample_nodes import TYPES
from tests.telemetry.receiver import Receiver, receiving


@pytest.fixture(scope="module", autouse=True)
def _test_nodes() -> Iterator[None]:
    for name, kind in TYPES.items():
        node(name)(kind)
    yield
    for name in TYPES:
        del node[name]


@pytest.fixture(autouse=True)
def _own_exporters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(provider, "_providers", [])
    monkeypatch.setattr(provider, "_flushing", {})
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # none of them may be at work, and log, in the next test
    provider._ONCE.seen.clear()
    yield
    provider.flush(10)
    for thread in provider._flushing.values():
        thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as there:
        yield there
