"""The waiting line of a local server; it is not started here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.settings import Runtime
from agentrag.core.types import ChatRequest, Message
from agentrag.models.breaker import Breaker
from agentrag.models.http import HttpPool
from agentrag.models.llamacpp import LlamaCppModel
from agentrag.models.local_server import LocalServer


def server(folder: Path, waiting: int) -> LocalServer:
    return LocalServer("small", folder / "no.gguf", Runtime(threads=1, parallel=2, waiting=waiting), folder)


async def test_so_many_wait_for_their_turn_and_no_more(tmp_path: Path) -> None:
    line = server(tmp_path, waiting=3)
    served: list[int] = []
    open_up = asyncio.Event()

    async def call(number: int) -> None:
        async with line.turn():
            served.append(number)
            await open_up.wait()

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0.01)
    assert served == [0, 1]
    with pytest.raises(
        ModelError, match=r"3 requests wait for model 'small', and no more may\. Raise runtime\.waiting"
    ) as caught:
        await call(5)
    assert caught.value.retryable
    open_up.set()
    await asyncio.gather(*calls)
    assert served == [0, 1, 2, 3, 4]


async def test_who_gives_up_waiting_makes_room(tmp_path: Path) -> None:
    line = server(tmp_path, waiting=1)
    async with line.turn(), line.turn():
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), line.turn():
                    raise AssertionError("there is no free slot")
    async with line.turn(), line.turn():
        """Both turns came back."""


async def test_without_a_waiting_line_only_free_slots_are_taken(tmp_path: Path) -> None:
    line = server(tmp_path, waiting=0)
    async with line.turn(), line.turn():
        with pytest.raises(ModelError, match="0 requests wait"):
            async with line.turn():
                raise AssertionError("there is no free slot")


async def test_a_log_that_cannot_be_written_is_an_error_of_the_model_and_names_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ModelError, match=r"cannot be started with its log at .*file/no-"):
        await server(tmp_path / "file", waiting=1).address()


async def test_an_open_circuit_is_told_before_a_turn_is_waited_for(tmp_path: Path) -> None:
    line, breaker = server(tmp_path, waiting=9), Breaker("small", faults=1)
    with pytest.raises(ModelError), breaker.call():
        raise ModelError("it is down", retryable=True)
    model = LlamaCppModel("small", line, HttpPool(), breaker)
    async with line.turn(), line.turn(), asyncio.timeout(1):
        with pytest.raises(ModelError, match="small is left alone"):
            await model.complete(ChatRequest((Message("user", "Hello"),), max_tokens=9))
