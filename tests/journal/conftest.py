from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from agentrag.core.calls import Effect, OutwardCall
from agentrag.core.ports import Journal, Recorded, RunRecord
from agentrag.core.types import Completion, Usage
from agentrag.journal.sqlite import SqliteJournal

TEXT: TypeAdapter[str] = TypeAdapter(str)
COMPLETION: TypeAdapter[Completion] = TypeAdapter(Completion)
PROMPT_TOKENS, COMPLETION_TOKENS, USD = 10, 5, 0.25


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def called(
    text: str = "Why?",
    *,
    run: str = "r",
    step: str = "flow.0:write",
    nth: int = 0,
    sampled: bool = False,
    effect: Effect = "none",
    tenant: str = "",
) -> OutwardCall:
    """A call that asks for `text`; a write is never deterministic."""
    deterministic = not sampled and effect == "none"
    return OutwardCall(run, step, nth, "tool", "service", {"text": text}, deterministic, effect, tenant, nth)


class Service:
    """What calls reach: answers "1 Why?", "2 Why?" ... and keeps what it was asked.

    Args:
        failing: So many first calls fail.
        seconds: How long a call takes.
    """

    def __init__(self, failing: int = 0, seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self._failing, self._seconds = failing, seconds

    async def answer(self, call: OutwardCall, journal: Journal) -> str:
        """What `journal` gives for a call of this service."""
        return (await self.recorded(call, journal)).value

    async def recorded(self, call: OutwardCall, journal: Journal) -> Recorded[str]:
        """The same, with whether it was reused."""

        async def work() -> str:
            text = str(call.request["text"])
            self.asked.append(text)
            number = len(self.asked)
            await self._sleep()
            if number <= self._failing:
                raise ConnectionError("no line")
            return f"{number} {text}"

        return await journal.call(call, work, TEXT)

    async def _sleep(self) -> None:
        await asyncio.sleep(self._seconds)


async def chat(
    journal: Journal, text: str, *, run: str, step: str, answer: str = "Because.", nth: int = 0, tenant: str = ""
) -> None:
    """Make a deterministic chat call that costs PROMPT_TOKENS, COMPLETION_TOKENS and USD."""
    request = {"messages": [{"role": "user", "content": text}]}
    call = OutwardCall(run, step, nth, "chat", "scripted", request, tenant=tenant, nth=nth)

    async def work() -> Completion:
        return Completion(answer, usage=Usage(1, PROMPT_TOKENS, COMPLETION_TOKENS, usd=USD), model="scripted-1")

    await journal.call(call, work, COMPLETION)


async def record_run(path: Path, run: str, texts: Mapping[str, str] | list[str], graph: str = "g") -> list[str]:
    """Record a finished run with a call per step: `texts` by step, or for flow.0:a, flow.1:a ...; the answers."""
    by_step = texts if isinstance(texts, Mapping) else {f"flow.{i}:a": text for i, text in enumerate(texts)}
    journal, service = SqliteJournal(path), Service()
    journal.begin(RunRecord(run, graph))
    answers = [await service.answer(called(text, run=run, step=step), journal) for step, text in by_step.items()]
    journal.end(run, "finished", json.dumps({"answer": answers[-1] if answers else ""}).encode())
    journal.close()
    return answers


def step_end(node: str, **more: Any) -> dict[str, Any]:
    """Body of the note that a step ended well."""
    return {"node": node, "attempt": 1, "seconds": 0.5, "outcome": "done", **more}
