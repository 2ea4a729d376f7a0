"""A stub of a model server on the loopback interface: scripted, with every fault that real ones show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiohttp import web

Fault = Literal["reset", "hang", "garbage", "half stream", "hang mid-stream", "stream error", "no finish"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer.

    Attributes:
        text: What the model says; streamed word by word.
        status: HTTP status; anything but 200 sends `error` instead of an answer.
        headers: Further response headers, such as Retry-After.
        error: Message of an error status.
        fault: How the exchange goes wrong: "reset" (connection cut before an answer), "hang" (no answer), "garbage" (no JSON),
            "half stream" (cut after two pieces), "hang mid-stream" (silence after two pieces), "stream error" (an error event
            after two pieces), "no finish" (the stream ends without a reason; a whole reply has no choices).
        finish: Its finish_reason.
        logprob: Log-probability of every word, where the request asks for log-probabilities.
    """

    text: str = "ok"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = "scripted failure"
    fault: Fault | None = None
    finish: str = "stop"
    logprob: float = -0.1


Script = str | Reply


class StubChatServer:
    """Serves POST /v1/chat/completions of the OpenAI protocol, from a script.

    Args:
        replies: Answers in order, the last one for ever after; or a function of the request's body.
        latency: Seconds before each answer.
        pace: Seconds between streamed words.

    Attributes:
        bodies: The JSON body of every request, in order.
        headers: The headers of every request, in order.
        in_flight: Requests being answered now.
        most_in_flight: The most that ever were.

    >>> import asyncio
    >>> async def address():
    ...     async with StubChatServer(["hello"]) as server:
    ...         return server.url
    >>> asyncio.run(address()).startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self, replies: Iterable[Script] | Callable[[dict[str, Any]], Script] = (), latency: float = 0.0, pace: float = 0.0
    ) -> None:
        self._function = replies if callable(replies) else None
        self._queue: Iterator[Script] = iter(()) if callable(replies) else iter(replies)
        self._last: Script = Reply()
        self._latency, self._pace = latency, pace
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0

    @property
    def count(self) -> int:
        """Requests so far."""
        return len(self.bodies)

    @property
    def connections(self) -> int:
        """Connections that clients hold open now, used or not."""
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    async def __aenter__(self) -> StubChatServer:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._latency:
                await asyncio.sleep(self._latency)
            return await self._answer(request, body, self._next(body))
        finally:
            self.in_flight -= 1

    def _next(self, body: dict[str, Any]) -> Reply:
        script = self._function(body) if self._function else next(self._queue, self._last)
        self._last = script
        return Reply(script) if isinstance(script, str) else script

    async def _answer(self, request: web.Request, body: dict[str, Any], reply: Reply) -> web.StreamResponse:
        if reply.fault == "hang":
            await asyncio.sleep(3600)
        if reply.fault == "reset":
            return _cut(request)
        if reply.status != 200:
            error = {"error": {"message": reply.error, "type": "scripted"}}
            return web.json_response(error, status=reply.status, headers=reply.headers)
        if reply.fault == "garbage":
            return web.Response(text="<!doctype html> not JSON {", content_type="application/json")
        if body.get("stream"):
            return await self._stream(request, body, reply)
        return web.json_response(whole_reply(body, reply), headers=reply.headers)

    async def _stream(self, request: web.Request, body: dict[str, Any], reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for index, event in enumerate(stream_events(body, reply)):
            if index == 2 and reply.fault in {"half stream", "hang mid-stream", "stream error"}:
                return await self._break(request, response, reply.fault)
            await response.write(event)
            if self._pace:
                await asyncio.sleep(self._pace)
        await response.write_eof()
        return response

    async def _break(self, request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
        if fault == "half stream":
            return _cut(request, response)
        if fault == "hang mid-stream":
            await asyncio.sleep(3600)
        await response.write(_event({"error": {"message": "the model crashed", "type": "server_error"}}))
        await response.write_eof()
        return response


def whole_reply(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    """A reply that is not streamed."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish,
    }
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [_token(word, reply.logprob) for word in _words(reply.text)]}
    choices = [] if reply.fault == "no finish" else [choice]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": _usage(body, reply)}


def stream_events(body: Mapping[str, Any], reply: Reply) -> Iterator[bytes]:
    """The events of a streamed reply, one per word, in the protocol's order."""
    head = _head(body, "chat.completion.chunk")
    for word in _words(reply.text):
        choice: dict[str, Any] = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [_token(word, reply.logprob)]}
        yield _event({**head, "choices": [choice]})
    if reply.fault == "no finish":
        return
    yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": _usage(body, reply)})
    yield b"data: [DONE]\n\n"


def _cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Cut the connection at once."""
    if request.transport:
        request.transport.abort()
    return response or web.Response()


def _head(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "stub", "object": kind, "created": 0, "model": body.get("model", "stub")}


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = sum(len(str(message["content"]).split()) for message in body.get("messages", ()))
    completion = len(_words(reply.text))
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**counts, "prompt_tokens_details": {"cached_tokens": prompt // 2}}


def _token(word: str, logprob: float) -> dict[str, Any]:
    alone = {"token": word, "logprob": logprob, "bytes": list(word.encode())}
    return {**alone, "top_logprobs": [alone]}


def _words(text: str) -> list[str]:
    """`text` in pieces that end after a space; joined they are the text."""
    pieces = text.split(" ")
    return [piece + " " for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"
