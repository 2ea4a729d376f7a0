"""LlamaIndex workflows: a step per node, an event per edge; the last step sends the first event again or stops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from benchmarks.peers.work import QUESTION, Run, Work

FIELDS = {"question": str, "answer": str, "round": int}


def run_of(work: Work) -> Run:
    """The work as a workflow: a class whose events and steps are made here, because their number is data."""
    kinds: list[Any] = [type(f"Before{number}", (Event,), {"__annotations__": FIELDS}) for number in range(work.nodes)]
    flow: Any = type("Loop", (Workflow,), {})
    for number, (takes, gives) in enumerate(pairwise(kinds)):
        _add(flow, f"n{number}", _middle(work, gives), takes if number else StartEvent | takes, gives)

    async def last(ev: Any) -> Any:
        await work.body()
        if ev.round + 1 >= work.rounds:
            return StopEvent(result=ev.question)
        return kinds[0](question=ev.question, answer=ev.question, round=ev.round + 1)

    _add(flow, "last", last, kinds[-1], kinds[0] | StopEvent)
    workflow = flow(timeout=None)

    async def run() -> object:
        return await workflow.run(question=QUESTION, round=0)

    return run


def _middle(work: Work, gives: Any) -> Any:
    async def node(ev: Any) -> Any:
        await work.body()
        return gives(question=ev.question, answer=ev.question, round=ev.round)

    return node


def _add(flow: Any, name: str, function: Any, takes: Any, gives: Any) -> None:
    function.__name__ = function.__qualname__ = name
    function.__annotations__ = {"ev": takes, "return": gives}
    step(workflow=flow)(function)
