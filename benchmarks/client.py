"""What a call of a model server costs in the client: ours beside bare aiohttp, httpx and litellm, in one run.

The server is a process of its own that answers after 20 ms and does next to nothing else. Bars: at 64 calls in flight at most
0.6 ms of processor per call and at least 1,500 calls a second; at most 0.08 ms of processor per streamed chunk.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import aiohttp
import httpx

from agentrag.core.types import ChatRequest, Message
from agentrag.models.openai import Endpoint, OpenAIModel

LATENCY, IN_FLIGHT, ROUNDS = 0.020, 64, 3
STREAMS, CHUNKS, PACE = 8, 200, 0.004
QUESTION = "Which of the passages below answers the question, and what is the answer? " * 20
BODY = {"model": "stub", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 64, "temperature": 0.0}
REQUEST = ChatRequest((Message("user", QUESTION),), max_tokens=64)
USAGE = {"prompt_tokens": 300, "completion_tokens": CHUNKS, "total_tokens": 300 + CHUNKS}
HEAD = {"id": "stub", "created": 0, "model": "stub"}

Call = Callable[[], Awaitable[object]]


class Stub(asyncio.Protocol):
    """Just enough of an HTTP server to answer chat completions from prepared bytes."""

    _whole = json.dumps(
        {
            **HEAD,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * CHUNKS}, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    ).encode()
    _answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_whole), _whole)
    _stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), len(body) + 1
        )
        if end and len(body) >= length:
            self._received = b""
            streamed = b'"stream"' in body
            self._loop.call_later(LATENCY, self._begin_stream if streamed else lambda: self._write(self._answer))

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _begin_stream(self) -> None:
        self._write(self._stream)
        self._loop.call_later(PACE, self._chunk, 0)

    def _chunk(self, n: int) -> None:
        last = n == CHUNKS
        delta = {"index": 0, "delta": {} if last else {"content": f"word{n} "}, "finish_reason": "stop" if last else None}
        event = b"data: %b\n\n" % json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [delta]}).encode()
        if last:
            usage = {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
            event += b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(usage).encode()
        self._write(b"%x\r\n%b\r\n" % (len(event), event))
        if last:
            self._write(b"0\r\n\r\n")
        else:
            self._loop.call_later(PACE, self._chunk, n + 1)


@dataclass(frozen=True)
class Client:
    """One way to ask: a call, a streamed call where it has one, and how many calls make a fair sample of it."""

    name: str
    call: Call
    stream: Call | None
    calls: int


@dataclass(frozen=True)
class Result:
    """Milliseconds of processor per call, and calls per second."""

    cpu: float
    rate: float


async def serve() -> None:
    """Answer until standard input closes; the port is printed first."""
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def measure(call: Call, count: int, in_flight: int) -> Result:
    """Make `count` calls, `in_flight` at a time."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    cpu, wall = process_time(), perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return Result((process_time() - cpu) * 1e3 / count, count / (perf_counter() - wall))


def text_of(line: bytes) -> list[str]:
    """The text in one line of a stream."""
    choices = json.loads(line[6:])["choices"] if line.startswith(b"data: {") else []
    return [choice["delta"].get("content") or "" for choice in choices]


async def clients(url: str, stack: AsyncExitStack, with_litellm: bool) -> list[Client]:
    """All clients, open until the stack closes."""
    endpoint = f"{url}/chat/completions"
    ours = OpenAIModel("ours", Endpoint(url, "stub"))
    stack.push_async_callback(ours.aclose)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    plain = await stack.enter_async_context(httpx.AsyncClient(limits=httpx.Limits(max_connections=None), trust_env=False))

    async def bare() -> object:
        async with session.post(endpoint, json=BODY) as response:
            return (await response.json())["choices"][0]["message"]["content"]

    async def bare_stream() -> object:
        pieces: list[str] = []
        async with session.post(endpoint, json={**BODY, "stream": True}) as response:
            async for line in response.content:
                pieces += text_of(line)
        return "".join(pieces)

    async def httpx_alone() -> object:
        return (await plain.post(endpoint, json=BODY)).json()["choices"][0]["message"]["content"]

    async def httpx_stream() -> object:
        pieces: list[str] = []
        async with plain.stream("POST", endpoint, json={**BODY, "stream": True}) as response:
            async for line in response.aiter_lines():
                pieces += text_of(line.encode())
        return "".join(pieces)

    found = [
        Client("bare aiohttp", bare, bare_stream, 2000),
        Client("agentrag", lambda: ours.complete(REQUEST), lambda: ours.complete(REQUEST, lambda _: None), 2000),
        Client("httpx on httpcore", httpx_alone, httpx_stream, 320),
    ]
    return [*found, await litellm(url, stack)] if with_litellm else found


async def litellm(url: str, stack: AsyncExitStack) -> Client:
    """Our own client of litellm, which goes through its Router."""
    from agentrag.models.litellm import LiteLLMModel  # lazy: seconds

    model = LiteLLMModel("openai/stub", api_base=url, api_key="none")
    stack.push_async_callback(model.aclose)
    return Client("litellm's Router", lambda: model.complete(REQUEST), lambda: model.complete(REQUEST, lambda _: None), 320)


async def compare(url: str, with_litellm: bool) -> None:
    """Measure all clients in turn, several rounds, and print medians beside bare aiohttp's."""
    async with AsyncExitStack() as stack:
        found = await clients(url, stack, with_litellm)
        for client in found:
            await measure(client.call, IN_FLIGHT, IN_FLIGHT)  # opens the connections
        whole = [{client.name: await measure(client.call, client.calls, IN_FLIGHT) for client in found} for _ in range(ROUNDS)]
        streamed = [
            {client.name: await measure(client.stream, STREAMS * 2, STREAMS) for client in found if client.stream}
            for _ in range(ROUNDS)
        ]
    cpu = {client.name: median(each[client.name].cpu for each in whole) for client in found}
    rate = {client.name: median(each[client.name].rate for each in whole) for client in found}
    chunk = {name: median(each[name].cpu for each in streamed) / CHUNKS for name in streamed[0]}
    print(f"{'64 in flight, 20 ms latency':29}{'CPU ms/call':>12}{'ratio':>7}{'calls/s':>9}{'CPU ms/chunk':>14}{'ratio':>7}")
    for name in cpu:
        ratio, chunk_ratio = cpu[name] / cpu["bare aiohttp"], chunk[name] / chunk["bare aiohttp"]
        print(f"{name:29}{cpu[name]:12.2f}{ratio:6.1f}x{rate[name]:9.0f}{chunk[name]:14.3f}{chunk_ratio:6.1f}x")
    verdict = cpu["agentrag"] <= 0.6, rate["agentrag"] >= 1500, chunk["agentrag"] <= 0.08
    print("bars (0.6 ms, 1,500/s, 0.08 ms): " + ", ".join("met" if good else "NOT met" for good in verdict))


def main() -> None:
    """Start the server and compare; `serve` is the server, `--litellm` adds litellm (seconds of imports)."""
    if "serve" in sys.argv[1:]:
        asyncio.run(serve())
        return
    command = [sys.executable, "-m", "benchmarks.client", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdin
        port = server.stdout.readline().strip()
        try:
            asyncio.run(compare(f"http://127.0.0.1:{port}/v1", "--litellm" in sys.argv[1:]))
        finally:
            server.stdin.close()


if __name__ == "__main__":
    main()
