from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.types import ChatRequest, Message, TokenLogprob
from agentrag.models.faults import retry_after
from agentrag.models.http import HttpPool
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.testing.server import Fault, Reply, Script, StubChatServer

KEY = "sk-very-secret"
HELLO = ChatRequest((Message("system", "Be kind."), Message("user", "Hello")), max_tokens=9)
PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    pool = HttpPool()
    yield pool
    await pool.aclose()


def model(server: StubChatServer, pool: HttpPool, **settings: Any) -> OpenAIModel:
    return OpenAIModel("test", Endpoint(server.url, "gpt", **{"key": KEY, "timeout": 5.0, "pause": 0.01, **settings}), pool)


async def failure(
    reply: Script, pool: HttpPool, request: ChatRequest = HELLO, **settings: Any
) -> tuple[ModelError, int, list[str]]:
    """What a call that meets `reply` again and again raises, after how many exchanges, and what was streamed before."""
    told: list[str] = []
    async with StubChatServer([reply]) as server:
        with pytest.raises(ModelError) as caught:
            await model(server, pool, **settings).complete(request, told.append if settings.get("timeout") != 0.2 else None)
        return caught.value, server.count, told


async def test_a_request_is_sent_as_the_protocol_says(pool: HttpPool) -> None:
    request = ChatRequest(
        (Message("user", "Hi"),), max_tokens=7, temperature=0.5, stop=("\n",), schema=PERSON, logprobs=3, seed=4
    )
    async with StubChatServer(['{"age": 3}']) as server:
        await model(server, pool, extra={"cache_prompt": True}).complete(request)
    assert server.bodies == [
        {
            "model": "gpt",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 7,
            "temperature": 0.5,
            "stop": ["\n"],
            "seed": 4,
            "logprobs": True,
            "top_logprobs": 3,
            "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": PERSON, "strict": True}},
            "cache_prompt": True,
        }
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_carries_text_usage_price_and_log_probabilities(pool: HttpPool, stream: bool) -> None:
    told: list[str] = []
    request = ChatRequest(HELLO.messages, max_tokens=9, logprobs=1)
    async with StubChatServer([Reply("good day", finish="length")]) as server:
        client = model(server, pool, price_in=2.0, price_out=10.0)
        completion = await client.complete(request, told.append if stream else None)
    assert (completion.text, completion.finish, completion.model) == ("good day", "length", "gpt")
    assert completion.tokens[0] == TokenLogprob("good ", -0.1, (("good ", -0.1),))
    usage = completion.usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (1, 3, 2, 1)
    assert usage.usd == pytest.approx((3 * 2 + 2 * 10) / 1e6)
    assert told == (["good ", "day"] if stream else [])


async def test_text_is_handed_out_as_it_comes(pool: HttpPool) -> None:
    times: list[float] = []
    async with StubChatServer(["one two three"], pace=0.1) as server:
        await model(server, pool).complete(HELLO, lambda _: times.append(time.monotonic()))
    assert times[2] - times[0] > 0.15


async def test_a_server_that_does_not_stream_is_understood_all_the_same(pool: HttpPool) -> None:
    told: list[str] = []
    async with StubChatServer(lambda body: (body.pop("stream"), "whole")[1]) as server:
        completion = await model(server, pool).complete(HELLO, told.append)
    assert (completion.text, told) == ("whole", ["whole"])


@pytest.mark.parametrize(
    ("reply", "exchanges", "says"),
    [
        (Reply(status=401, error=f"bad key {KEY}"), 1, "HTTP 401: bad key *** (scripted). Check the key"),
        (Reply(status=403), 1, "no right"),
        (Reply(status=404), 1, "model's name"),
        (Reply(status=400, error="maximum context length is 10 tokens"), 1, "longer than the model's context"),
        (Reply(status=307, headers={"Location": "http://elsewhere/"}), 1, "redirects to http://elsewhere/"),
        (Reply(status=429, headers={"Retry-After": "0"}), 4, "HTTP 429"),
        (Reply(status=408, headers={"Retry-After": "0"}), 4, "HTTP 408"),
        (Reply(status=409, headers={"Retry-After": "0"}), 4, "HTTP 409"),
        (Reply(status=503, headers={"Retry-After": "0"}), 4, "HTTP 503"),
        (Reply(status=429, headers={"Retry-After": "3600"}), 1, "HTTP 429"),
        (Reply(finish="content_filter"), 1, "content filter"),
    ],
    ids=lambda value: (
        f"{value.status}{'-' + value.finish if value.finish != 'stop' else ''}" if isinstance(value, Reply) else ""
    ),
)
async def test_a_refusal_is_one_line_with_model_and_host_and_is_repeated_only_where_that_helps(
    pool: HttpPool, reply: Reply, exchanges: int, says: str
) -> None:
    error, count, _ = await failure(reply, pool)
    assert says in str(error)
    assert "gpt at 127.0.0.1:" in str(error)
    assert "\n" not in str(error)
    assert KEY not in str(error)
    assert (count, error.retryable) == (exchanges, reply.status in {408, 409, 429, 503})


@pytest.mark.parametrize(
    ("fault", "says"),
    [("reset", "connection broke"), ("garbage", "no valid reply"), ("no finish", "no valid reply")],
)
async def test_a_broken_exchange_is_made_again(pool: HttpPool, fault: Fault, says: str) -> None:
    async with StubChatServer([Reply(fault=fault), "well"]) as server:
        completion = await model(server, pool).complete(HELLO)
    assert (completion.text, completion.usage.calls, server.count) == ("well", 2, 2)
    async with StubChatServer([Reply(fault=fault)]) as server:
        with pytest.raises(ModelError, match=says) as caught:
            await model(server, pool, attempts=1).complete(HELLO)
    assert caught.value.retryable


async def test_silence_is_given_up_after_the_time_out_and_says_so(pool: HttpPool) -> None:
    error, count, _ = await failure(Reply(fault="hang"), pool, timeout=0.2, attempts=2)
    assert "sent nothing for 0.2 s" in str(error)
    assert (count, error.retryable) == (2, True)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("half stream", "in the middle of its answer"),
        ("no finish", "in the middle of its answer"),
        ("stream error", "broke off: the model crashed"),
        ("hang mid-stream", "sent nothing for 0.3 s"),
    ],
)
async def test_an_answer_that_was_begun_is_never_asked_for_again(pool: HttpPool, fault: Fault, says: str) -> None:
    error, count, told = await failure(Reply("a b c d", fault=fault), pool, timeout=0.3)
    assert says in str(error)
    assert (count, error.retryable) == (1, True)
    assert told[:2] == ["a ", "b "]


async def test_no_server_is_said_to_be_no_server(pool: HttpPool) -> None:
    client = OpenAIModel("test", Endpoint("http://127.0.0.1:9/v1", "gpt", attempts=1), pool)
    with pytest.raises(ModelError, match=r"gpt at 127\.0\.0\.1:9: no server answers there"):
        await client.complete(HELLO)


async def test_the_wait_that_the_server_asks_for_is_kept(pool: HttpPool) -> None:
    async with StubChatServer([Reply(status=429, headers={"Retry-After": "0.4"}), "well"]) as server:
        begun = time.monotonic()
        await model(server, pool).complete(HELLO)
    assert time.monotonic() - begun >= 0.4


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after("1.5") == 1.5
    assert retry_after(later) == pytest.approx(30, abs=2)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert [retry_after(value) for value in ("soon", "", None)] == [None, None, None]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_cancelling_a_call_ends_the_exchange_at_the_server_and_leaves_no_task_and_no_connection(
    pool: HttpPool, stream: bool
) -> None:
    begun = asyncio.Event()
    async with StubChatServer(["word " * 1000], pace=0.02, latency=0.0 if stream else 30.0) as server:
        tasks = len(asyncio.all_tasks())
        call = asyncio.create_task(model(server, pool).complete(HELLO, (lambda _: begun.set()) if stream else None))
        async with asyncio.timeout(2):
            while not (begun.is_set() if stream else server.in_flight):
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(2):
            while server.in_flight or server.connections or len(asyncio.all_tasks()) > tasks:
                await asyncio.sleep(0.01)


async def test_an_answer_that_drips_on_for_ever_is_given_up_in_the_end(pool: HttpPool) -> None:
    async with StubChatServer(["word " * 1000], pace=0.05) as server:
        with pytest.raises(ModelError, match=r"was not done within 0\.3 s.*Raise `total_timeout`") as caught:
            await model(server, pool, total_timeout=0.3).complete(HELLO, lambda _: None)
        async with asyncio.timeout(2):
            while server.in_flight:
                await asyncio.sleep(0.01)
    assert (caught.value.retryable, server.count) == (True, 1)


async def test_a_listener_that_fails_is_not_taken_for_a_broken_server(pool: HttpPool) -> None:
    def listen(text: str) -> None:
        raise BrokenPipeError("the terminal went away")

    async with StubChatServer(["a b"]) as server:
        with pytest.raises(BrokenPipeError):
            await model(server, pool).complete(HELLO, listen)
        assert server.count == 1


async def test_many_calls_share_the_pool(pool: HttpPool) -> None:
    async with StubChatServer(["ok"], latency=0.2) as server:
        client = model(server, pool)
        await asyncio.gather(*(client.complete(HELLO) for _ in range(150)))
    assert server.most_in_flight > 100


async def test_a_reply_that_breaks_the_schema_is_repaired_once_and_both_calls_count(pool: HttpPool) -> None:
    request = ChatRequest(HELLO.messages, max_tokens=9, schema=PERSON)
    async with StubChatServer(['{"age": "three"}', '{"age": 3}']) as server:
        completion = await model(server, pool).complete(request)
    assert (completion.text, completion.usage.calls) == ('{"age": 3}', 2)
    fault = server.bodies[1]["messages"][-1]["content"]
    assert "$.age: 'three' is not of type 'integer'" in fault


@pytest.mark.parametrize(
    ("replies", "says"),
    [
        (["no", "still no"], r"did not keep to the JSON Schema.*not JSON"),
        ([Reply('{"age":', finish="length")], r"cut at max_tokens=9"),
    ],
    ids=["twice wrong", "cut"],
)
async def test_a_reply_that_cannot_be_repaired_is_an_error(pool: HttpPool, replies: list[Script], says: str) -> None:
    request = ChatRequest(HELLO.messages, max_tokens=9, schema=PERSON)
    async with StubChatServer(replies) as server:
        with pytest.raises(ModelError, match=says) as caught:
            await model(server, pool).complete(request)
    assert not caught.value.retryable


async def test_a_proxy_is_used_for_others_but_never_for_this_machine(pool: HttpPool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with StubChatServer(["through the proxy"]) as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        far = OpenAIModel("test", Endpoint("http://models.invalid/v1", "gpt", attempts=1), pool)
        assert (await far.complete(HELLO)).text == "through the proxy"
        assert server.headers[0]["Host"] == "models.invalid"
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert (await model(server, pool).complete(HELLO)).text == "through the proxy"


def test_the_key_is_not_in_the_representation() -> None:
    assert KEY not in repr(Endpoint("http://host/v1", "gpt", key=KEY))
