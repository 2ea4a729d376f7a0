from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.types import ChatRequest, Message
from agentrag.models.litellm import LiteLLMModel, fault_of, library
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


async def test_only_the_router_retries() -> None:
    async with StubChatServer([Reply(status=429, headers={"Retry-After": "0"}), "well"]) as server:
        client = model(server)
        completion = await client.complete(HELLO)
        await client.aclose()
    assert (completion.text, server.count) == ("well", 2)


@pytest.mark.parametrize("fault", ["half stream", "stream error", "garbage"])
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
