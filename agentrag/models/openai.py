"""The client for every server that speaks the OpenAI chat protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx

from agentrag.core.errors import ModelError
from agentrag.core.ports import OnText
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.breaker import Breaker
from agentrag.models.cost import after
from agentrag.models.delivery import Delivery
from agentrag.models.faults import BROKEN, broken, malformed, refused, reported
from agentrag.models.http import HttpPool
from agentrag.models.limits import TOTAL, within
from agentrag.models.protocol import StreamedReply, body_of, completion_of
from agentrag.models.retry import ATTEMPTS, PAUSE, Retries, with_retries
from agentrag.models.schema import held_to_schema
from agentrag.models.sse import DataLines

_NOT_THE_PROTOCOL = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served.

    Attributes:
        url: Base address, up to and without /chat/completions.
        model: The server's name of the model.
        key: Sent as bearer token to this address only; "" for none.
        timeout: Seconds without any byte before an exchange is given up, > 0.
        total_timeout: Seconds that one exchange may take in all, > 0.
        price_in, price_out: USD per million tokens.
        attempts: Most exchanges for one call, >= 1.
        pause: Bound of the random pause before the second attempt, in seconds; see `Retries`.
        keep_alive: Whether connections stay open between calls.
        extra: Further members of every request's body.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    total_timeout: float = TOTAL
    price_in: float = 0.0
    price_out: float = 0.0
    attempts: int = ATTEMPTS
    pause: float = PAUSE
    keep_alive: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


class OpenAIModel:
    """A chat model behind the OpenAI protocol.

    Calls that fail for a passing reason (429, 408, 409, 5xx, a broken connection, no byte for `timeout` seconds, no end for
    `total_timeout`) are made again, at most `attempts` times in all, after the time that the server asks for or a random,
    growing one; never once streamed text was handed out.

    Args:
        name: Its identity in journals and tables.
        endpoint: Where it is served.
        pool: Connections to share; its own where None.
        breaker: That of the endpoint; none where None.
    """

    def __init__(self, name: str, endpoint: Endpoint, pool: HttpPool | None = None, breaker: Breaker | None = None) -> None:
        self.name = name
        self._endpoint = endpoint
        self._retries = Retries(endpoint.attempts, endpoint.pause, breaker)
        self._own_pool = HttpPool() if pool is None else None
        self._pool = pool or self._own_pool or HttpPool()
        self._url = httpx.URL(endpoint.url.rstrip("/") + "/chat/completions")
        self._who = f"Model {endpoint.model} at {urlsplit(endpoint.url).netloc.rpartition('@')[2]}"
        self._headers = self._fixed_headers()
        self._extensions = {"timeout": {"connect": min(10.0, endpoint.timeout), "read": endpoint.timeout, "pool": None}}
        # OpenAI's own newer models refuse the old name; other servers know only that one
        self._limit = "max_completion_tokens" if self._url.host == "api.openai.com" else "max_tokens"

    def _fixed_headers(self) -> httpx.Headers:
        headers = {"Host": self._url.netloc.decode(), "Content-Type": "application/json", "User-Agent": "agentrag"}
        headers["Accept-Encoding"] = "identity"  # a compressing proxy would hold streamed text back
        if not self._endpoint.keep_alive:
            headers["Connection"] = "close"
        if self._endpoint.key:
            headers["Authorization"] = f"Bearer {self._endpoint.key}"
        return httpx.Headers(headers)

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`; with `on_text` the reply is streamed.

        Cost: one call; two where a reply must be repaired to satisfy `request.schema`. A repaired reply is streamed from its
        first, faulty form on.

        Raises:
            ModelError: The call failed.
        """
        if request.schema is None:
            return await self._answer(on_text, request)
        return await held_to_schema(request, request.schema, partial(self._answer, on_text), self._who)

    async def aclose(self) -> None:
        """Close the connections, unless they are shared."""
        if self._own_pool:
            await self._own_pool.aclose()

    async def _answer(self, on_text: OnText | None, request: ChatRequest) -> Completion:
        delivery = Delivery(on_text) if on_text else None
        body = body_of(request, self._endpoint.model, on_text is not None, self._limit)
        content = json.dumps({**body, **self._endpoint.extra}, ensure_ascii=False).encode()

        def once() -> Awaitable[Completion]:
            return within(self._endpoint.total_timeout, self._who, self._exchange(content, delivery))

        completion = await with_retries(once, request, lambda: not (delivery and delivery.begun), self._retries)
        if self._has_price:
            completion = replace(completion, usage=self._priced(completion.usage))
        if completion.finish == "content_filter":
            with after(completion.usage):
                raise ModelError(f"{self._who} withheld its answer: the provider's content filter stepped in.")
        return completion

    async def _exchange(self, content: bytes, delivery: Delivery | None) -> Completion:
        request = httpx.Request("POST", self._url, headers=self._headers, content=content, extensions=self._extensions)
        try:
            response = await self._pool.send(request)
        except BROKEN as error:
            raise broken(self._who, error, self._endpoint.timeout) from error
        try:
            if response.status_code != 200:
                payload = await self._payload(response)
                raise refused(self._who, response.status_code, response.headers, payload, self._endpoint.key)
            if delivery is None or not _is_stream(response):
                return self._whole(await self._payload(response), delivery)
            return await self._streamed(response, delivery)
        finally:
            await response.aclose()

    async def _payload(self, response: httpx.Response) -> bytes:
        return b"".join([chunk async for chunk in self._chunks(response)])

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in _body(response):
                yield chunk
        except BROKEN as error:
            raise broken(self._who, error, self._endpoint.timeout) from error

    def _whole(self, payload: bytes, delivery: Delivery | None) -> Completion:
        try:
            completion = completion_of(json.loads(payload))
        except _NOT_THE_PROTOCOL as error:
            raise malformed(self._who, f"{type(error).__name__}: {error}", self._endpoint.key) from error
        if delivery and completion.text:
            delivery(completion.text)
        return completion

    async def _streamed(self, response: httpx.Response, delivery: Delivery) -> Completion:
        reply, lines = StreamedReply(), DataLines()
        async for chunk in self._chunks(response):  # to its end, not to [DONE]: the connection can then be used again
            for data in lines.feed(chunk):
                self._take(data, reply, delivery)
        for data in lines.end():
            self._take(data, reply, delivery)
        if not reply.complete:
            raise ModelError(f"{self._who} broke off in the middle of its answer.", retryable=True)
        return reply.completion()

    def _take(self, data: bytes, reply: StreamedReply, delivery: Delivery) -> None:
        if data == b"[DONE]":
            return
        try:
            chunk = json.loads(data)
            failure = chunk.get("error")
            text = "" if failure else reply.take(chunk)
        except _NOT_THE_PROTOCOL as error:
            raise malformed(self._who, f"{type(error).__name__}: {error}", self._endpoint.key) from error
        if failure:
            raise reported(self._who, failure, self._endpoint.key)
        if text:
            delivery(text)

    @property
    def _has_price(self) -> bool:
        return bool(self._endpoint.price_in or self._endpoint.price_out)

    def _priced(self, usage: Usage) -> Usage:
        price = usage.prompt_tokens * self._endpoint.price_in + usage.completion_tokens * self._endpoint.price_out
        return replace(usage, usd=price / 1e6)


def _body(response: httpx.Response) -> AsyncIterable[bytes]:
    """The bytes as they come; httpx's own reading is gone round where nothing has to be decompressed."""
    raw = response.stream
    return (
        raw if isinstance(raw, httpx.AsyncByteStream) and "content-encoding" not in response.headers else response.aiter_bytes()
    )


def _is_stream(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.lower().startswith("text/event-stream")
