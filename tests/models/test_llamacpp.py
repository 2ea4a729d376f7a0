from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from agentrag.core.bindings import LlamaCpp
from agentrag.core.errors import ModelError
from agentrag.core.exchange import asking
from agentrag.core.settings import Runtime, Settings
from agentrag.core.types import ChatRequest, Message
from agentrag.models.bind import Models
from agentrag.models.breaker import Breaker
from agentrag.models.catalogue import model_files
from agentrag.models.cost import cost_of
from agentrag.models.http import HttpPool
from agentrag.models.llama_server import has_chat_template
from agentrag.models.llamacpp import LlamaCppModel
from agentrag.models.local_server import LocalServer

pytestmark = pytest.mark.model

FRANCE = ChatRequest((Message("user", "Say where the Eiffel Tower stands."),), max_tokens=12)
STORY = replace(FRANCE, messages=(Message("user", "Tell a long story of a ship."),), max_tokens=1500)


@pytest.fixture
async def models(smollm: Settings) -> AsyncIterator[Models]:
    async with Models(smollm) as models:
        yield models


def served(models: Models, binding: str = "default") -> tuple[LlamaCppModel, LocalServer]:
    """The model of a binding and the server behind it."""
    model = models.get(binding)
    assert isinstance(model, LlamaCppModel)
    return model, model.server


async def test_a_local_model_answers_streams_and_uses_its_prompt_cache(models: Models) -> None:
    model, server = served(models)
    assert server.pid is None, "nothing starts before the first call"
    told: list[str] = []
    first = await model.complete(FRANCE)
    second = await model.complete(FRANCE, told.append)
    assert "".join(told) == second.text
    assert "Eiffel Tower" in first.text
    assert first.model == "smollm2-135m-instruct"
    assert 0 < first.usage.completion_tokens <= 12
    assert second.usage.cached_tokens >= second.usage.prompt_tokens - 1


async def test_log_probabilities_come_for_every_generated_token(models: Models) -> None:
    model, _ = served(models)
    completion = await model.complete(replace(FRANCE, max_tokens=1, logprobs=5))
    (token,) = completion.tokens
    assert len(token.top) == 5
    assert token.top[0][1] == max(logprob for _, logprob in token.top) <= 0.0


async def test_a_json_schema_constrains_the_reply(models: Models) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"], "additionalProperties": False}
    model, _ = served(models)
    completion = await model.complete(replace(FRANCE, schema=schema, max_tokens=40))
    assert set(json.loads(completion.text)) == {"yes"}
    assert completion.usage.calls == 1


async def test_a_prompt_beyond_the_context_says_so_and_the_model_lives_on(models: Models) -> None:
    model, server = served(models)
    with pytest.raises(ModelError, match=r"longer than the model's context.*2048 tokens") as caught:
        await model.complete(replace(FRANCE, messages=(Message("user", "word " * 5000),)))
    assert not caught.value.retryable
    assert server.pid


async def test_a_server_killed_mid_answer_gives_a_clear_error_and_the_next_call_works(models: Models) -> None:
    model, server = served(models)

    def kill(text: str) -> None:
        if server.pid:
            os.kill(server.pid, signal.SIGKILL)

    with pytest.raises(
        ModelError, match=r"died in the middle of its answer; the next call starts it again.*exit code -9"
    ) as caught:
        await model.complete(STORY, kill)
    assert caught.value.retryable
    assert "\n" not in str(caught.value)
    assert (await model.complete(FRANCE)).text


async def test_a_server_that_died_between_calls_is_started_again_unnoticed(models: Models) -> None:
    model, server = served(models)
    first = await model.complete(FRANCE)
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert (await model.complete(FRANCE)).text == first.text
    assert server.pid not in {None, pid}


async def test_a_server_killed_before_its_first_word_is_started_again_and_asked_again(models: Models) -> None:
    model, server = served(models)
    await model.complete(FRANCE)
    call = asyncio.create_task(model.complete(replace(STORY, max_tokens=60)))
    await asyncio.sleep(0.1)
    if server.pid:
        os.kill(server.pid, signal.SIGKILL)
    assert (await call).text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_cancelling_calls_ends_their_generation_and_frees_their_slots(models: Models, stream: bool) -> None:
    model, server = served(models)
    await model.complete(FRANCE)
    tasks = len(asyncio.all_tasks())
    begun: set[int] = set()
    calls = [asyncio.create_task(model.complete(STORY, partial(_remember, begun, n) if stream else None)) for n in range(2)]
    if stream:
        async with asyncio.timeout(30):
            while len(begun) < 2:
                await asyncio.sleep(0.01)
    else:
        await asyncio.sleep(0.5)
    for call in calls:
        call.cancel()
    assert [type(ended) for ended in await asyncio.gather(*calls, return_exceptions=True)] == [asyncio.CancelledError] * 2
    async with asyncio.timeout(10):  # both slots were taken, for a minute without the cancellation
        await model.complete(FRANCE)
    assert len(asyncio.all_tasks()) == tasks
    await asyncio.sleep(0.5)
    process = psutil.Process(server.pid)
    before = process.cpu_times().user
    await asyncio.sleep(0.5)
    assert process.cpu_times().user - before < 0.1


def _remember(begun: set[int], number: int, text: str) -> None:
    begun.add(number)


async def test_the_budget_is_asked_before_the_call_is_made_again(models: Models) -> None:
    model, server = served(models)
    await model.complete(FRANCE)
    with asking(lambda *_: False):
        call = asyncio.create_task(model.complete(replace(STORY, max_tokens=60)))
        await asyncio.sleep(0.1)
        if server.pid:
            os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ModelError, match="died before its answer") as caught:
            await call
    assert cost_of(caught.value).calls == 1


async def test_an_answer_of_the_local_model_has_so_long_in_all(smollm: Settings) -> None:
    named = {"default": LlamaCpp(model="smollm2-135m-instruct", total_timeout=1.0)}
    async with Models(smollm.model_copy(update={"models": named})) as models:
        model, server = served(models)
        await model.complete(replace(FRANCE, max_tokens=1))
        with pytest.raises(ModelError, match=r"was not done within 1 s"):
            await model.complete(STORY, lambda _: None)
        assert server.pid, "the server lives on"
        assert (await model.complete(replace(FRANCE, max_tokens=1))).usage.calls == 1


async def test_a_local_model_whose_calls_fail_again_and_again_is_left_alone(smollm: Settings) -> None:
    weights = model_files("smollm2-135m-instruct", smollm.cache)["weights"]
    slow = LocalServer("slow", weights, Runtime(threads=1, start_timeout=0.01), smollm.cache / "logs")
    model = LlamaCppModel("slow", slow, HttpPool(), Breaker("Model 'slow'", faults=2))
    told = []
    for _ in range(3):
        with pytest.raises(ModelError) as caught:
            await model.complete(FRANCE)
        told.append((str(caught.value).split(" within ")[0], cost_of(caught.value).calls))
    await model.aclose()
    assert told[:2] == [("Model 'slow' did not load", 0)] * 2
    assert told[2][1] == 0
    assert told[2][0].startswith("Model 'slow' is left alone for 30 s more after 2 faults in a row")


async def test_who_waits_for_a_start_that_fails_fails_with_it(smollm: Settings) -> None:
    weights = model_files("smollm2-135m-instruct", smollm.cache)["weights"]
    server = LocalServer("slow", weights, Runtime(threads=1, start_timeout=0.2), smollm.cache / "logs")
    begun = time.monotonic()
    ended = await asyncio.gather(*(server.address() for _ in range(20)), return_exceptions=True)
    server.stop()
    assert {str(error).partition(" within ")[0] for error in ended} == {"Model 'slow' did not load"}
    assert time.monotonic() - begun < 2.0, "one start for all, not one after the other"


async def test_bindings_of_one_base_share_one_server_that_ends_with_its_last_user(models: Models) -> None:
    (one, server), (other, same) = served(models), served(models, "local")
    assert one is not other
    assert server is same
    await asyncio.gather(one.complete(FRANCE), other.complete(FRANCE))
    pid = server.pid
    assert pid
    await one.aclose()
    assert psutil.pid_exists(pid)
    await other.aclose()
    await other.aclose()
    assert not psutil.pid_exists(pid)


async def test_the_server_asks_for_a_key_that_no_one_else_can_read(models: Models) -> None:
    model, server = served(models)
    await model.complete(FRANCE)
    address, process = await server.address(), psutil.Process(server.pid)
    assert address.key not in " ".join(process.cmdline())
    assert address.key not in " ".join(process.environ().values())
    assert address.key not in repr(address)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{address.url}/chat/completions", json={"messages": []})).status_code == 401
        allowed = {"Authorization": f"Bearer {address.key}"}
        assert (await client.get(address.url.replace("/v1", "/slots"), headers=allowed)).status_code == 501
        assert (await client.get(address.url + "/models", headers=allowed)).status_code == 200
    assert [connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"] == ["127.0.0.1"]


def test_the_server_ends_when_its_parent_is_killed(smollm: Settings) -> None:
    code = """
import asyncio, sys, time
from pathlib import Path
from agentrag.core.settings import Runtime
from agentrag.models.local_server import LocalServer
server = LocalServer("m", Path(sys.argv[1]), Runtime(threads=1), Path(sys.argv[2]))
asyncio.run(server.address())
print(server.pid, flush=True)
time.sleep(60)
"""
    weights = model_files("smollm2-135m-instruct", smollm.cache)["weights"]
    with subprocess.Popen([sys.executable, "-c", code, weights, smollm.cache], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(10)


async def test_weights_that_are_no_model_say_so_with_the_end_of_the_log(tmp_path: Path) -> None:
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF" + bytes(5000))
    server = LocalServer("broken", weights, Runtime(threads=1), tmp_path / "logs")
    with pytest.raises(ModelError, match=r"'broken' cannot be loaded .*log .*broken-") as caught:
        await server.address()
    server.stop()
    assert "\n" not in str(caught.value)
    (log,) = (tmp_path / "logs").iterdir()
    assert log.stat().st_mode & 0o077 == 0


async def test_a_server_that_does_not_start_in_time_is_given_up(smollm: Settings) -> None:
    weights = model_files("smollm2-135m-instruct", smollm.cache)["weights"]
    server = LocalServer("slow", weights, Runtime(threads=1, start_timeout=0.01), smollm.cache / "logs")
    with pytest.raises(ModelError, match=r"did not load within 0\.01 s\. Raise runtime\.start_timeout"):
        await server.address()
    assert server.pid is None or await server.has_died()
    server.stop()


async def test_a_gguf_path_is_a_model_whose_name_tells_weights_apart(smollm: Settings, tmp_path: Path) -> None:
    weights = model_files("smollm2-135m-instruct", smollm.cache)["weights"]
    other = tmp_path / weights.name
    other.write_bytes(b"GGUF other weights")
    named = {"default": LlamaCpp(model=str(weights)), "other": LlamaCpp(model=str(other))}
    async with Models(smollm.model_copy(update={"models": named})) as models:
        assert models.get("default").name != models.get("other").name
        assert (await models.get("default").complete(FRANCE)).text


def test_a_chat_template_is_seen_in_the_weights(smollm: Settings, tmp_path: Path) -> None:
    bare = tmp_path / "base.gguf"
    bare.write_bytes(b"GGUF general.name base")
    assert has_chat_template(model_files("smollm2-135m-instruct", smollm.cache)["weights"])
    assert not has_chat_template(bare)
