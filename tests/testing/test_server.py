from __future__ import annotations

import json

import aiohttp
import pytest

from agentrag.testing.server import Reply, StubChatServer

BODY = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


async def test_the_script_is_followed_and_its_last_line_repeated() -> None:
    async with StubChatServer(["first", "second"]) as server, aiohttp.ClientSession() as session:
        texts = []
        for _ in range(3):
            async with session.post(f"{server.url}/chat/completions", json=BODY) as response:
                texts.append((await response.json())["choices"][0]["message"]["content"])
    assert texts == ["first", "second", "second"]
    assert server.bodies == [BODY] * 3


async def test_a_function_answers_what_was_asked() -> None:
    def echo(body: dict[str, object]) -> str:
        return json.dumps(body["model"])

    async with StubChatServer(echo) as server, aiohttp.ClientSession() as session:
        response = await session.post(f"{server.url}/chat/completions", json=BODY)
        assert (await response.json())["choices"][0]["message"]["content"] == '"m"'


async def test_a_stream_ends_with_reason_usage_and_done() -> None:
    async with StubChatServer(["a b"]) as server, aiohttp.ClientSession() as session:
        body = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
        async with session.post(f"{server.url}/chat/completions", json=body) as response:
            lines = [line for line in (await response.text()).split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]) == "a b"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["usage"]["prompt_tokens"] == 2


async def test_faults_are_what_they_say() -> None:
    replies = [Reply(status=429, headers={"Retry-After": "7"}), Reply(fault="reset")]
    async with StubChatServer(replies) as server, aiohttp.ClientSession() as session:
        response = await session.post(f"{server.url}/chat/completions", json=BODY)
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(f"{server.url}/chat/completions", json=BODY)
