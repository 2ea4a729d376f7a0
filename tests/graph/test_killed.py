"""A run that is killed at any instant goes on from its record: it ends as if undisturbed, and pays for no call twice."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from agentrag.core.errors import StoreError
from agentrag.core.node import node
from agentrag.core.ports import RunRecord
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.recorded.replaying import RecordedAnswers, replay_deps
from agentrag.journal.history import History
from agentrag.journal.past import PastCall
from agentrag.testing.server import Reply, StubChatServer
from tests.graph import forking_worker as worker

WORKER = Path(__file__).with_name("forking_worker.py")
LATENCY = 0.006


@pytest.fixture(autouse=True, scope="module")
def _sample_node() -> Iterator[None]:
    node("k.sample")(worker.Sample)
    yield
    del node["k.sample"]


@dataclass
class Workshop:
    """A server that counts, and a process that runs graphs against it in processes of their own."""

    server: StubChatServer
    forker: asyncio.subprocess.Process
    folder: Path

    async def start(self, run: str, graph: str) -> int:
        """Begin or resume a run; the id of its process."""
        return await self._asked(f"{self.journal} {run} {graph}")

    async def ended(self) -> int:
        """How the process ended, as `os.waitpid` tells it; what it had sent has reached the server then."""
        status = await self._asked("wait")
        while self.server.in_flight:
            await asyncio.sleep(LATENCY)
        return status

    async def finish(self, run: str, graph: str) -> None:
        """Run to the end in a new process."""
        await self.start(run, graph)
        assert await self.ended() == 0

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    def prompts(self) -> list[str]:
        """What the server was asked, in order."""
        return [body["messages"][-1]["content"] for body in self.server.bodies]

    def recorded(self, run: str) -> list[tuple[PastCall, str, str]]:
        """Committed calls of a run with what they asked and were answered."""
        try:
            with History(self.journal) as history:
                calls = [(call, *history.exchange(call)) for call in history.calls(run)]
        except StoreError:  # killed before it had begun
            return []
        return [(call, request["messages"][-1]["content"], answer["text"]) for call, request, answer in calls]

    def outputs(self, run: str) -> dict[str, Any]:
        with History(self.journal) as history:
            outputs: dict[str, Any] = from_json(history.run(run).outputs or b"null")
        return outputs

    async def _asked(self, line: str) -> int:
        assert self.forker.stdin is not None
        assert self.forker.stdout is not None
        self.forker.stdin.write(f"{line}\n".encode())
        return int(await self.forker.stdout.readline())


@asynccontextmanager
async def workshop(folder: Path) -> AsyncIterator[Workshop]:
    count = 0

    def reply(body: dict[str, Any]) -> Reply:
        """By the prompt alone; but no two samples are the same."""
        nonlocal count
        count += 1
        prompt = body["messages"][-1]["content"]
        told = f"{prompt} {count}" if prompt.startswith("sample") else prompt
        return Reply(hashlib.sha256(told.encode()).hexdigest()[:12])

    async with StubChatServer(reply, latency=LATENCY) as server:
        pipe = asyncio.subprocess.PIPE
        forker = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), server.url, stdin=pipe, stdout=pipe)
        try:
            yield Workshop(server, forker, folder)
        finally:
            assert forker.stdin is not None
            forker.stdin.close()
            await forker.wait()


async def kill(shop: Workshop, run: str, graph: str, requests: int, seconds: float) -> bool:
    """Run, and kill the process so many seconds after so many requests; whether it was still at work."""
    child = await shop.start(run, graph)
    while shop.server.count < requests:
        await asyncio.sleep(LATENCY / 10)
    await asyncio.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(await shop.ended())


async def killed_and_resumed(folder: Path, kills: int, seed: int) -> tuple[int, Counter[int]]:
    """Kill runs at random instants and resume them: how many were still at work, and how often so many calls were repeated."""
    draw = random.Random(seed)
    at_work, repeated = 0, Counter[int]()
    async with workshop(folder) as shop:
        await shop.finish("whole", "twelve")
        whole = shop.outputs("whole")
        assert shop.server.count == worker.CALLS
        assert shop.server.most_in_flight == worker.CONCURRENCY
        for run in (f"run-{number}" for number in range(kills)):
            shop.server.bodies.clear()
            at_work += await kill(shop, run, "twelve", draw.randint(0, worker.CALLS), draw.uniform(0, 3 * LATENCY))
            committed = {prompt for _, prompt, _ in shop.recorded(run)}
            before = shop.server.count
            await shop.finish(run, "twelve")
            again = shop.prompts()[before:]
            assert shop.outputs(run) == whole
            assert committed.isdisjoint(again)
            assert len(set(shop.prompts())) == worker.CALLS
            assert shop.server.count - worker.CALLS <= worker.CONCURRENCY
            repeated[shop.server.count - worker.CALLS] += 1
    return at_work, repeated


async def test_a_run_killed_at_a_random_instant_ends_like_an_undisturbed_one_and_repeats_no_committed_call(
    tmp_path: Path,
) -> None:
    at_work, _ = await killed_and_resumed(tmp_path, kills=20, seed=1)
    assert at_work >= 10


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(6))
async def test_no_instant_among_many_is_a_bad_one_to_be_killed_at(tmp_path: Path, seed: int) -> None:
    at_work, repeated = await killed_and_resumed(tmp_path, kills=50, seed=100 + seed)
    print(f"seed {seed}: {at_work} of 50 killed at work; runs by repeated calls: {dict(sorted(repeated.items()))}")
    assert at_work >= 25


async def test_ten_samples_of_one_prompt_stay_ten_records_through_crash_resume_and_replay(tmp_path: Path) -> None:
    draw = random.Random(2)
    async with workshop(tmp_path) as shop:
        for run in (f"run-{number}" for number in range(5)):
            shop.server.bodies.clear()
            await kill(shop, run, "samples", draw.randint(1, worker.SAMPLES), draw.uniform(0, 2 * LATENCY))
            committed = {call.ordinal: answer for call, _, answer in shop.recorded(run)}
            await shop.finish(run, "samples")
            samples = shop.outputs(run)["notes"]
            assert len(set(samples)) == worker.SAMPLES
            assert {number: samples[number] for number in committed} == committed
            assert shop.server.count <= worker.SAMPLES + worker.SAMPLES_AT_ONCE
            assert await replayed(shop, run) == {"notes": samples}


async def replayed(shop: Workshop, run: str) -> dict[str, Any]:
    spec = worker.spec("samples")
    with History(shop.journal) as history:
        calls = history.calls(run)
    with closing(RecordedAnswers(shop.journal, run, calls)) as answers:
        return await execute(Program.of(spec), worker.INPUTS, replay_deps(spec, RunRecord(run, "samples"), answers))
