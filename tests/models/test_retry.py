"""What is not tried again: calls to an endpoint that is left alone, and calls that the budget has no room for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.exchange import asking
from agentrag.core.types import ChatRequest, Message
from agentrag.models.breaker import Breaker
from agentrag.models.cost import cost_of
from agentrag.models.http import HttpPool
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.testing.server import Reply, Script, StubChatServer

HELLO = ChatRequest((Message("user", "Hello"),), max_tokens=9)
PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    pool = HttpPool()
    yield pool
    await pool.aclose()


async def test_an_open_circuit_is_not_waited_for_and_ends_a_call_with_the_fault_that_opened_it(pool: HttpPool) -> None:
    async with StubChatServer([Reply(status=500)]) as server:
        client = OpenAIModel("test", Endpoint(server.url, "gpt", pause=0.001), pool, Breaker("host:1", faults=2))
        told = []
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await client.complete(HELLO)
            told.append((str(caught.value)[:12], cost_of(caught.value).calls))
    assert told == [("Model gpt at", 2), ("host:1 is le", 0)]
    assert (server.count, caught.value.retryable, round(caught.value.retry_after or 0)) == (2, True, 30)


@pytest.mark.parametrize(
    ("replies", "room", "says"),
    [
        ([Reply(status=500)], 2, "HTTP 500"),
        ([Reply(status=500), "no"], 1, "did not keep to the JSON Schema, and the budget has no room to tell it"),
    ],
    ids=["retry", "repair"],
)
async def test_the_budget_is_asked_before_each_further_exchange(
    pool: HttpPool, replies: list[Script], room: int, says: str
) -> None:
    request = ChatRequest(HELLO.messages, max_tokens=9, schema=PERSON)
    asked: list[ChatRequest] = []

    def leave(further: ChatRequest, repair: bool) -> bool:
        asked.append(further)
        return len(asked) <= room

    async with StubChatServer(replies) as server:
        with asking(leave), pytest.raises(ModelError, match=says) as caught:
            await OpenAIModel("test", Endpoint(server.url, "gpt", pause=0.001), pool).complete(request)
    assert (server.count, len(asked), cost_of(caught.value).calls) == (room + 1, room + 1, room + 1)


async def test_a_burst_that_is_told_to_wait_a_moment_waits_and_is_answered(pool: HttpPool) -> None:
    busy = Reply(status=429, headers={"Retry-After": "0.1"})
    async with StubChatServer([busy] * 6 + ["well"], latency=0.05) as server:
        breaker = Breaker("host:1", faults=3)
        client = OpenAIModel("test", Endpoint(server.url, "gpt", pause=0.001), pool, breaker)
        done = await asyncio.gather(*(client.complete(HELLO) for _ in range(6)))
    assert [each.text for each in done] == ["well"] * 6
    assert breaker.rest == 0


async def test_a_call_that_was_told_to_wait_waits_out_the_rest_of_the_circuit(pool: HttpPool) -> None:
    async with StubChatServer([Reply(status=429, headers={"Retry-After": "0.1"}), "well"]) as server:
        client = OpenAIModel("test", Endpoint(server.url, "gpt"), pool, Breaker("host:1", faults=1))
        assert (await client.complete(HELLO)).text == "well"
