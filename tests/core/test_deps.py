"""Deps: every call is journaled, told to the listener, and numbered before it is awaited."""

import asyncio

import numpy as np
import pytest

from agentrag.core.errors import UnknownNameError
from agentrag.core.events import CallFinished, Event, Token
from agentrag.core.types import ChatRequest, Message, SearchRequest
from agentrag.journal.memory import MemoryJournal
from agentrag.testing import ScriptedModel, fake_deps, passages

REQUEST = ChatRequest((Message("user", "Why?"),), max_tokens=8)


async def test_a_chat_call_is_told_with_its_cost_and_step() -> None:
    events: list[Event] = []
    deps = fake_deps(ScriptedModel(["Because so."]), events=events).at("flow.0:write", "write")
    completion = await deps.chat("writer", REQUEST, stream_to="answer")
    assert completion.text == "Because so."
    assert [event.text for event in events if isinstance(event, Token)] == ["Because", " so."]
    (told,) = [event for event in events if isinstance(event, CallFinished)]
    assert (told.step, told.node, told.kind, told.usage.calls) == ("flow.0:write", "write", "chat", 1)
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (1, 2)


async def test_concurrent_calls_of_a_step_are_numbered_in_program_order() -> None:
    deps = fake_deps(ScriptedModel(lambda request: "x")).at("flow.0:a", "a")
    await asyncio.gather(*(deps.chat("writer", REQUEST) for _ in range(3)))
    assert isinstance(deps.journal, MemoryJournal)
    assert sorted(call.ordinal for call in deps.journal.calls) == [0, 1, 2]


async def test_two_steps_count_their_calls_apart() -> None:
    deps = fake_deps(ScriptedModel(lambda request: "x"))
    await deps.at("a", "a").chat("writer", REQUEST)
    await deps.at("b", "b").chat("writer", REQUEST)
    assert isinstance(deps.journal, MemoryJournal)
    assert [(call.step, call.ordinal) for call in deps.journal.calls] == [("a", 0), ("b", 0)]


async def test_vectors_come_back_as_float32_rows_of_length_one() -> None:
    vectors = await fake_deps().embed(["a b", "c"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, 256)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


async def test_an_unknown_slot_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown model slot 'writr'\. Did you mean 'writer'"):
        await fake_deps().chat("writr", REQUEST)
    with pytest.raises(UnknownNameError, match=r"Unknown collection slot 'dogs'\. Did you mean 'docs'"):
        await fake_deps(collection=passages("a")).search("dogs", SearchRequest("a"))
