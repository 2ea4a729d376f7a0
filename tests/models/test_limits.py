from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agentrag.core.errors import ModelError
from agentrag.models.limits import within, without_silence


async def parts(*pauses: float) -> AsyncIterator[float]:
    for pause in pauses:
        await asyncio.sleep(pause)
        yield pause


async def test_an_exchange_has_so_long_in_all() -> None:
    assert await within(5.0, "Model m", asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ModelError, match=r"Model m was not done within 0\.01 s") as caught:
        await within(0.01, "Model m", asyncio.sleep(60))
    assert caught.value.retryable


async def test_a_time_limit_of_somebody_else_is_not_taken_for_ours() -> None:
    async def slow() -> None:
        raise TimeoutError("of the listener")

    with pytest.raises(TimeoutError, match="of the listener"):
        await within(5.0, "Model m", slow())


async def test_silence_between_two_parts_of_a_stream_is_given_up() -> None:
    got: list[float] = []

    async def read() -> None:
        async for pause in without_silence(0.1, "Model m", parts(0.0, 0.03, 0.03, 0.03, 0.03, 60.0)):
            got.append(pause)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(ModelError, match=r"Model m sent nothing for 0\.1 s. Raise `timeout`"):
        await read()
    assert got == [0.0, 0.03, 0.03, 0.03, 0.03], "as long as something comes it may take as long as it likes"
