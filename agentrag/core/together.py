"""Calls that a node makes at once."""

from __future__ import annotations

from asyncio import TaskGroup
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What the calls give, in their order. When one fails the others are cancelled, so that none goes on behind its step.

    Raises:
        Exception: What the first one raised that failed.

    >>> import asyncio
    >>> asyncio.run(together(asyncio.sleep(0, number) for number in range(3)))
    [0, 1, 2]
    """
    try:
        async with TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    return [task.result() for task in tasks]
