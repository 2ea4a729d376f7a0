"""Where spans go: to the process' own TracerProvider, where it has one, or over OTLP in the background."""

from __future__ import annotations

import atexit
import logging
import os
from functools import cache
from threading import Thread
from time import monotonic
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from agentrag.core.errors import SettingsError
from agentrag.core.observing import Telemetry

PATH = "/v1/traces"
LIMIT = 2.0
"""Seconds that the end of a process waits for spans that are not exported yet."""
_LIBRARIES = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
_providers: list[TracerProvider] = []
_flushing: dict[TracerProvider, Thread] = {}


def tracer_of(telemetry: Telemetry) -> trace.Tracer:
    """The tracer of a process for these settings.

    Raises:
        SettingsError: The variable with the headers is not set.
    """
    own = trace.get_tracer_provider()
    provider = _opened(telemetry) if isinstance(own, trace.ProxyTracerProvider) else own
    return provider.get_tracer("agentrag")


def flush(seconds: float = LIMIT) -> bool:
    """Export what is waiting, for at most so many seconds; whether all of it went out.

    An exporter that was waited for in vain is not waited for again until it is through.
    """
    until, done = monotonic() + seconds, True
    for provider in _providers:
        thread = _flushing.get(provider)
        if thread is None or not thread.is_alive():
            _flushing[provider] = thread = Thread(target=provider.force_flush, daemon=True)
            thread.start()
            thread.join(max(0.0, until - monotonic()))
        done = done and not thread.is_alive()
    return done


@cache
def _opened(telemetry: Telemetry) -> TracerProvider:
    """One exporter per endpoint and process, so that its queue and its thread outlive single runs."""
    for name in _LIBRARIES:
        logging.getLogger(name).addFilter(_ONCE)
    exporter = OTLPSpanExporter(_endpoint(telemetry.otlp or ""), headers=_headers(telemetry.headers_env))
    sampled = None if os.environ.get("OTEL_TRACES_SAMPLER") else ParentBased(TraceIdRatioBased(telemetry.sample))
    provider = TracerProvider(sampled, _resource(telemetry.service), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    if not _providers:
        atexit.register(flush)
    _providers.append(provider)
    return provider


class _Once(logging.Filter):
    """Lets a fault of the exporter be logged once: a collector that is down would fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        new = record.msg not in self.seen
        self.seen.add(record.msg)
        return new


_ONCE = _Once()


def _endpoint(base: str) -> str:
    base = base.rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def _headers(variable: str | None) -> dict[str, str] | None:
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(f"telemetry.headers_env names {variable}, which is not set.")
    pairs = (part.partition("=") for part in value.split(","))
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _resource(service: str) -> Resource:
    """What the spans come from; a name in the environment stays."""
    named = os.environ.get(OTEL_SERVICE_NAME) or "service.name=" in os.environ.get(OTEL_RESOURCE_ATTRIBUTES, "")
    return Resource.create({} if named else {"service.name": service})
