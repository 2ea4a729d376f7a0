"""Run the text of a flow, traced."""

from __future__ import annotations

import asyncio
from typing import Any

from agentrag.core.deps import Deps
from agentrag.core.errors import RunError
from agentrag.core.settings import Settings
from agentrag.graph.interpreter import execute
from agentrag.telemetry.provider import flush
from agentrag.telemetry.watched import watched
from agentrag.testing.fakes import fake_deps, passages
from tests.graph.flow.running import program
from tests.telemetry.receiver import Receiver


def settings(receiver: Receiver, **telemetry: Any) -> Settings:
    return Settings.model_validate({"telemetry": {"otlp": receiver.url, **telemetry}})


def traced(receiver: Receiver, deps: Deps | None = None, **telemetry: Any) -> Deps:
    """Back ends whose runs are traced to the receiver."""
    return watched(deps or fake_deps(collection=passages("a cat", "dog", "cat")), settings(receiver, **telemetry))


async def run(flow: str, deps: Deps, outputs: str = "[answer]", **inputs: Any) -> dict[str, Any] | RunError:
    """What a run gave or how it failed, with its spans exported."""
    try:
        return await execute(program(flow, outputs), {"question": "cat", **inputs}, deps)
    except RunError as error:
        return error
    finally:
        assert await asyncio.to_thread(flush, 10)
