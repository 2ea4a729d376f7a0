"""Time limits of an exchange with a model server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from typing import TypeVar

from agentrag.core.errors import ModelError

T = TypeVar("T")

TOTAL = 300.0
"""Seconds that one exchange may take in all, unless the binding says otherwise."""


async def within(seconds: float, who: str, exchange: Awaitable[T]) -> T:
    """The result of an exchange that ends within `seconds`, whether it sends something all the time or nothing.

    Raises:
        ModelError: It took longer; it was cancelled.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            return await exchange
    except TimeoutError as error:
        if not limit.expired():
            raise
        advice = "Raise `total_timeout` of the binding if its answers take so long."
        raise ModelError(f"{who} was not done within {seconds:g} s. {advice}", retryable=True) from error


async def without_silence(seconds: float, who: str, parts: AsyncIterable[T]) -> AsyncIterator[T]:
    """The parts of a stream, each of which comes within `seconds` of the one before.

    Raises:
        ModelError: Nothing came for so long.
    """
    iterator = aiter(parts)
    while True:
        try:
            async with asyncio.timeout(seconds) as limit:
                part = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise silent(who, seconds) from error
        yield part


def silent(who: str, seconds: float) -> ModelError:
    """Nothing came for `seconds`."""
    return ModelError(f"{who} sent nothing for {seconds:g} s. Raise `timeout` of the binding if it is slow.", retryable=True)
