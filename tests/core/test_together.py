"""Calls made at once."""

from __future__ import annotations

import asyncio

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.together import together


async def test_when_one_call_fails_the_others_do_not_go_on() -> None:
    ended: list[str] = []

    async def fails() -> str:
        await asyncio.sleep(0)
        raise ModelError("broken")

    async def lasts() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "done"

    with pytest.raises(ModelError, match="broken"):
        await together([lasts(), fails(), lasts()])
    assert ended == ["cancelled", "cancelled"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
