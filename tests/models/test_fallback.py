from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.exchange import asking
from agentrag.core.ports import ChatModel, OnText
from agentrag.core.types import ChatRequest, Completion, Message, Usage
from agentrag.models.breaker import Breaker
from agentrag.models.cost import cost_of
from agentrag.models.fallback import FallbackModel
from agentrag.models.http import HttpPool
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.testing import Reply, ScriptedModel, StubChatServer

HELLO = ChatRequest((Message("user", "Hello"),), max_tokens=9)


class Named(ScriptedModel):
    """A scripted model with a name of its own."""

    def __init__(self, name: str, replies: Sequence[str | Completion | Exception]) -> None:
        super().__init__(replies)
        self.name = name
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


class Breaking(Named):
    """A model that breaks off in the middle of its answer."""

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        if on_text:
            on_text("half")
        raise ModelError("it broke off", retryable=True)


DOWN = ModelError("it is down", retryable=True, retry_after=7.0)


async def test_the_first_that_answers_answers_and_all_that_was_tried_counts() -> None:
    one, two, three = Named("one", [ModelError("no key")]), Named("two", ["well"]), Named("three", ["never"])
    completion = await FallbackModel([one, two, three]).complete(HELLO)
    assert (completion.text, completion.usage) == ("well", Usage(2, 1, 1))
    assert [len(model.requests) for model in (one, two, three)] == [1, 1, 0]


async def test_the_last_error_names_all_that_failed_and_passes_where_one_of_them_may() -> None:
    chain = FallbackModel([Named("one", [ModelError("no key")]), Named("two", [DOWN])])
    with pytest.raises(ModelError, match=r"No model of the chain answered. one: no key; two: it is down") as caught:
        await chain.complete(HELLO)
    assert (caught.value.retryable, caught.value.retry_after, cost_of(caught.value).calls) == (True, 7.0, 2)
    with pytest.raises(ModelError) as final:
        await FallbackModel([Named("one", [ModelError("a")]), Named("two", [ModelError("b")])]).complete(HELLO)
    assert (final.value.retryable, final.value.retry_after) == (False, None)


async def test_nobody_else_is_asked_once_text_was_handed_out() -> None:
    other, told = Named("other", ["well", "well"]), list[str]()
    with pytest.raises(ModelError, match="breaking: it broke off"):
        await FallbackModel([Breaking("breaking", []), other]).complete(HELLO, told.append)
    assert (told, other.requests) == (["half"], [])
    assert (await FallbackModel([Breaking("breaking", []), other]).complete(HELLO)).text == "well", "nothing was handed out"


async def test_the_budget_is_asked_before_the_next_model() -> None:
    other = Named("two", ["well"])
    with (
        asking(lambda *_: False),
        pytest.raises(ModelError, match="one: it is down; two was not asked: the budget has no room"),
    ):
        await FallbackModel([Named("one", [DOWN]), other]).complete(HELLO)
    assert other.requests == []


async def test_a_listener_that_fails_is_not_taken_for_a_model_that_fails() -> None:
    def listen(text: str) -> None:
        raise BrokenPipeError("the terminal went away")

    other = Named("two", ["well"])
    with pytest.raises(BrokenPipeError):
        await FallbackModel([Named("one", ["a b"]), other]).complete(HELLO, listen)
    assert other.requests == []


async def test_an_open_circuit_falls_back_at_once_and_what_was_set_aside_for_it_serves_the_next() -> None:
    async with StubChatServer([Reply(status=503)]) as server:
        pool = HttpPool()
        far = OpenAIModel("far", Endpoint(server.url, "gpt", pause=0.001), pool, Breaker("far:1", faults=3))
        chain = FallbackModel([far, Named("near", ["first", "second"])])
        first = await chain.complete(HELLO)
        with asking(lambda *_: False):
            second = await chain.complete(HELLO)
        await pool.aclose()
    assert [(done.text, done.usage.calls) for done in (first, second)] == [("first", 4), ("second", 1)]
    assert server.count == 3


async def test_a_chain_tells_all_its_members_and_closes_them() -> None:
    models = [Named("one", []), Named("two", [])]
    chain = FallbackModel(models)
    assert isinstance(chain, ChatModel)
    assert chain.name == "fallback(one, two)"
    await chain.aclose()
    await chain.aclose()
    assert [model.closed for model in models] == [2, 2]
