"""Replies that have not the protocol's form: understood where that is safe, else refused as such."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agentrag.core.errors import ModelError
from agentrag.core.types import ChatRequest, Message
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.models.protocol import StreamedReply, completion_of, usage_of

HELLO = ChatRequest((Message("user", "Hello"),), max_tokens=9)


def reply(content: Any = "a", usage: Any = None) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], "usage": usage}


@pytest.mark.parametrize("usage", ["x", [], {"prompt_tokens": "12"}, {"prompt_tokens": -5, "prompt_tokens_details": "x"}])
def test_a_usage_that_is_none_counts_nothing(usage: Any) -> None:
    assert usage_of(usage).prompt_tokens == usage_of(usage).cached_tokens == 0


@pytest.mark.parametrize("content", [5, [{"type": "text", "text": "x"}]])
def test_content_that_is_no_text_is_refused_whole_and_streamed(content: Any) -> None:
    with pytest.raises(TypeError, match="content is no text"):
        completion_of(reply(content))
    with pytest.raises(TypeError, match="content is no text"):
        StreamedReply().take({"choices": [{"delta": {"content": content}}]})


def test_half_characters_are_replaced_whole_and_streamed() -> None:
    assert completion_of(reply("a\ud800b")).text == "a?b"
    assert StreamedReply().take({"choices": [{"delta": {"content": "a\ud800b"}}]}) == "a?b"


def test_a_last_chunk_without_delta_and_one_with_usage_alone_are_understood() -> None:
    stream = StreamedReply()
    stream.take({"choices": [{"delta": {"content": "a"}}]})
    stream.take({"choices": [{"delta": None, "finish_reason": "stop"}]})
    stream.take({"usage": {"prompt_tokens": 3}})
    assert (stream.complete, stream.completion().text, stream.completion().usage.prompt_tokens) == (True, "a", 3)


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"[" * 200_000, {}, 200, "no valid reply"),
        (b"[" * 200_000, {}, 500, "HTTP 500"),
        (b"no gzip", {"Content-Encoding": "gzip"}, 200, "not encoded as it says"),
        (json.dumps(reply(5)).encode(), {}, 200, "no valid reply"),
    ],
    ids=["deep", "deep error", "encoding", "content"],
)
async def test_what_cannot_be_read_is_an_error_that_may_pass(
    body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers, status=status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as server:
        client = OpenAIModel("test", Endpoint(str(server.make_url("/v1")), "gpt", attempts=1))
        with pytest.raises(ModelError, match=says) as caught:
            await client.complete(HELLO)
        await client.aclose()
    assert caught.value.retryable
