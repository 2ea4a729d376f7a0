"""An OTLP/HTTP endpoint on loopback that keeps the spans it is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Got:
    """A span as it was received."""

    name: str
    id: bytes
    parent: bytes
    trace: bytes
    begun: int
    ended: int
    status: int
    said: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]


@dataclass
class Receiver:
    """What came, and how the endpoint behaves: "ok", "slow" (answers when all is over) or a status code."""

    behaviour: str = "ok"
    url: str = ""
    stop: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    spans: list[Got] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path)
        if self.behaviour == "slow":
            await self.stop.wait()
            return web.Response(status=503)
        if self.behaviour != "ok":
            return web.Response(status=int(self.behaviour))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.append(_values(resource.resource.attributes)["service.name"])
            self.spans += [_got(span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")

    def tree(self) -> list[tuple[int, str]]:
        """Depth and name of every span, in the order in which they began, each under the one around it."""
        return [(depth, span.name) for depth, span in self._walk(b"", 0)]

    def named(self, name: str) -> Got:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, (name, [span.name for span in self.spans])
        return found[0]

    def around(self, span: Got) -> str:
        return next((other.name for other in self.spans if other.id == span.parent), "")

    def _walk(self, parent: bytes, depth: int) -> Iterator[tuple[int, Got]]:
        for span in sorted((span for span in self.spans if span.parent == parent), key=lambda span: (span.begun, span.name)):
            yield depth, span
            yield from self._walk(span.id, depth + 1)


@contextmanager
def receiving(behaviour: str = "ok") -> Iterator[Receiver]:
    """Receive in a thread with an event loop of its own, as another process would."""
    receiver, loop, ready = Receiver(behaviour), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{rest:.*}", receiver.take)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await receiver.stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(receiver.stop.set)
        thread.join(10)
        loop.close()


def _got(span: Any) -> Got:
    events = [(event.name, _values(event.attributes)) for event in span.events]
    times = (span.start_time_unix_nano, span.end_time_unix_nano)
    ids = (span.span_id, span.parent_span_id, span.trace_id)
    return Got(span.name, *ids, *times, span.status.code, span.status.message, _values(span.attributes), events)


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)
