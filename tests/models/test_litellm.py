from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.exchange import asking
from agentrag.core.types import ChatRequest, Message
from agentrag.models.breaker import Breaker
from agentrag.models.cost import cost_of
from agentrag.models.litellm import LiteLLMModel, fault_of, library
from agentrag.models.retry import Retries
from agentrag.testing.server import Fault, Reply, StubChatServer

pytestmark = pytest.mark.filterwarnings("ignore:Item 'summary' on TypedDict")  # of litellm's own types, on old Pythons
KEY = "sk-very-secret"
HELLO = ChatRequest((Message("user", "Hello there"),), max_tokens=9)
PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}


def model(server: StubChatServer, **options: Any) -> LiteLLMModel:
    return LiteLLMModel("openai/gpt-4o-mini", **{"timeout": 5.0, "api_base": server.url, "api_key": KEY, **options})


@pytest.fixture(autouse=True)
def key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_carries_text_usage_price_and_log_probabilities(stream: bool) -> None:
    told: list[str] = []
    async with StubChatServer([Reply("good day", finish="length")]) as server:
        client = model(server)
        request = ChatRequest(HELLO.messages, max_tokens=9, logprobs=1)
        completion = await client.complete(request, told.append if stream else None)
        await client.aclose()
        await client.aclose()
    assert (completion.text, completion.finish) == ("good day", "length")
    assert [token.token for token in completion.tokens] == ["good ", "day"]
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (2, 2)
    assert completion.usage.usd > 0
    assert told == (["good ", "day"] if stream else [])
    assert server.bodies[0]["max_tokens"] == 9


async def test_a_reply_that_breaks_the_schema_is_repaired_once() -> None:
    async with StubChatServer(['{"age": "three"}', '{"age": 3}']) as server:
        client = model(server)
        completion = await client.complete(ChatRequest(HELLO.messages, max_tokens=9, schema=PERSON))
        await client.aclose()
    assert (completion.text, completion.usage.calls) == ('{"age": 3}', 2)
    assert server.bodies[0]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=401, error=f"bad key {KEY}"), r"bad key \*\*\*"),
        (Reply(status=400, error="maximum context length is 10 tokens"), "maximum context length is 10 tokens"),
    ],
    ids=["key", "context"],
)
async def test_a_refusal_is_one_line_that_names_the_model_and_no_key(reply: Reply, says: str) -> None:
    async with StubChatServer([reply]) as server:
        client = model(server)
        with pytest.raises(ModelError, match=says) as caught:
            await client.complete(HELLO)
        await client.aclose()
    assert "openai/gpt-4o-mini (through litellm at 127.0.0.1:" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Router" not in str(caught.value)
    assert (server.count, caught.value.retryable) == (1, False)


async def test_a_passing_fault_is_tried_again_and_every_exchange_counts() -> None:
    async with StubChatServer([Reply(status=429, headers={"Retry-After": "0"}), "well"]) as server:
        client = model(server)
        completion = await client.complete(HELLO)
        await client.aclose()
    assert (completion.text, completion.usage.calls, server.count) == ("well", 2, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "reply",
    [Reply(status=429), Reply(status=500), Reply(status=503), Reply(fault="reset"), Reply(fault="hang")],
    ids=["429", "500", "503", "reset", "hang"],
)
async def test_nothing_below_our_own_layer_tries_again(reply: Reply, stream: bool) -> None:
    async with StubChatServer([reply]) as server:
        client = model(server, timeout=0.3, retries=Retries(attempts=2, pause=0.01))
        with pytest.raises(ModelError) as caught:
            await client.complete(HELLO, (lambda _: None) if stream else None)
        await client.aclose()
        assert server.count == 2
    assert (caught.value.retryable, cost_of(caught.value).calls) == (True, 2)


async def test_the_wait_that_the_server_asks_for_is_kept() -> None:
    async with StubChatServer([Reply(status=429, headers={"Retry-After": "0.4"}), "well"]) as server:
        client = model(server, retries=Retries(pause=0.001))
        begun = time.monotonic()
        await client.complete(HELLO)
        await client.aclose()
    assert time.monotonic() - begun >= 0.4


async def test_the_budget_is_asked_before_each_further_exchange() -> None:
    async with StubChatServer([Reply(status=500)]) as server:
        client = model(server, retries=Retries(pause=0.001))
        with asking(lambda *_: server.count < 2), pytest.raises(ModelError, match="scripted failure"):
            await client.complete(HELLO)
        await client.aclose()
    assert server.count == 2


async def test_a_stall_after_the_first_words_is_given_up() -> None:
    told: list[str] = []
    async with StubChatServer([Reply("a b c d", fault="hang mid-stream")]) as server:
        client = model(server, timeout=0.3)
        with pytest.raises(ModelError, match=r"sent nothing for 0\.3 s|Timeout on reading"):  # whichever is first
            await client.complete(HELLO, told.append)
        await all_done(server)
        await client.aclose()
    assert (told, server.count) == (["a ", "b "], 1)


async def test_an_answer_that_drips_on_for_ever_is_given_up_in_the_end() -> None:
    async with StubChatServer(["word " * 1000], pace=0.05) as server:
        client = model(server, total_timeout=0.4)
        with pytest.raises(ModelError, match=r"was not done within 0\.4 s.*total_timeout"):
            await client.complete(HELLO, lambda _: None)
        await all_done(server)
        await client.aclose()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_cancelling_a_call_ends_the_exchange_at_the_server_and_leaves_no_task_behind(stream: bool) -> None:
    begun = asyncio.Event()
    async with StubChatServer(["word " * 1000], pace=0.05, latency=0.0 if stream else 30.0) as server:
        client = model(server)
        before = asyncio.all_tasks()
        call = asyncio.create_task(client.complete(HELLO, (lambda _: begun.set()) if stream else None))
        if stream:
            await begun.wait()
        while not server.in_flight:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await all_done(server)
        async with asyncio.timeout(2):
            while mine(before):
                await asyncio.sleep(0.01)
        await client.aclose()


def mine(before: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Tasks that came since, but for those of the server and litellm's own worker, which serves all calls."""
    new = [task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)]
    return [task for task in new if "LoggingWorker" not in repr(task)]


async def all_done(server: StubChatServer) -> None:
    async with asyncio.timeout(2):
        while server.in_flight:
            await asyncio.sleep(0.01)


async def test_an_open_circuit_fails_at_once() -> None:
    breaker = Breaker("openai (through litellm)", faults=2)
    async with StubChatServer([Reply(status=500)]) as server:
        client = model(server, retries=Retries(pause=0.001, breaker=breaker))
        for exchanges in (2, 0):
            with pytest.raises(ModelError) as caught:
                await client.complete(HELLO)
            assert cost_of(caught.value).calls == exchanges
        await client.aclose()
    assert "openai (through litellm) is left alone for 30 s more after 2 faults" in str(caught.value)
    assert (server.count, round(caught.value.retry_after or 0)) == (2, 30)


@pytest.mark.parametrize("fault", ["half stream", "stream error", "no finish"])
async def test_a_stream_that_breaks_off_is_an_error_and_not_asked_for_again(fault: Fault) -> None:
    async with StubChatServer([Reply("a b c d", fault=fault)]) as server:
        client = model(server)
        with pytest.raises(ModelError) as caught:
            await client.complete(HELLO, lambda _: None)
        await client.aclose()
    assert (server.count, caught.value.retryable) == (1, True)


def exceptions() -> Iterator[type[Exception]]:
    import litellm.exceptions

    for _, found in inspect.getmembers(litellm.exceptions, inspect.isclass):
        if issubclass(found, Exception):
            yield found


def made(kind: type[Exception]) -> Exception:
    """An instance of an exception class, whatever its constructor asks for."""
    error = kind.__new__(kind)
    Exception.__init__(error, "it failed\nbadly")
    error.__dict__.update(
        message="it failed", llm_provider="p", model="m", num_retries=None, max_retries=None, original_exception=None
    )
    return error


def test_every_exception_of_litellm_becomes_a_model_error() -> None:
    kinds = list(exceptions())
    assert len(kinds) > 20
    for kind in kinds:
        fault = fault_of(made(kind), "Model m")
        assert str(fault).startswith("Model m: ")
        assert "\n" not in str(fault)
    table = {kind.__name__: fault_of(made(kind), "Model m").retryable for kind in kinds}
    assert {name for name in table if table[name]} >= {"RateLimitError", "Timeout", "APIConnectionError", "InternalServerError"}
    assert not {"AuthenticationError", "BadRequestError", "ContextWindowExceededError", "NotFoundError"} & {
        name for name in table if table[name]
    }


def test_litellm_is_loaded_without_a_look_at_the_network_and_keeps_silent() -> None:
    code = (
        "from agentrag.models.litellm import library; import os; library(); print(os.environ['LITELLM_LOCAL_MODEL_COST_MAP'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "LITELLM_LOCAL_MODEL_COST_MAP"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert library().telemetry is False


def test_bindings_are_imported_without_litellm_and_the_native_runtime() -> None:
    heavy = {"litellm", "xllamacpp", "jsonschema", "openai"}
    code = f"import sys, agentrag.models.bind; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
