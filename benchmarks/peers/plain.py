"""Plain asyncio: the same functions awaited in two loops. The floor."""

from __future__ import annotations

from benchmarks.peers.work import QUESTION, Run, Work


def run_of(work: Work) -> Run:
    """The work as a function."""

    async def node(state: dict[str, str]) -> dict[str, str]:
        await work.body()
        return {"answer": state["question"]}

    async def run() -> str:
        state = {"question": QUESTION}
        for _ in range(work.rounds):
            for _ in range(work.nodes):
                state = {**state, **await node(state)}
        return state["answer"]

    return run
