"""Steps for every item of a list."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agentrag.core.errors import BranchError, ModelError
from agentrag.core.events import BranchFinished, ItemsCut, StepStarted
from agentrag.core.types import ChatRequest
from agentrag.testing.fakes import MemorySearcher, ScriptedModel, fake_deps, passages
from tests.graph.flow.running import run


async def test_each_item_has_a_run_of_the_steps_and_the_values_come_in_the_order_of_the_items() -> None:
    flow = "  - each: {in: xs, as: x, do: [item], collect: {answer: ys, x: asked}, at_most: 5}"
    course = await run(flow, outputs="[ys, asked]", xs=["a", "b", "c"])
    assert course.outputs == {"ys": ["cat-a", "cat-b", "cat-c"], "asked": ["a", "b", "c"]}
    assert [event.step for event in course.told(StepStarted)] == [f"flow.0.each[{n}].0:item" for n in range(3)]
    assert "answer" not in course.state
    assert "x" not in course.state


async def test_an_empty_list_gives_empty_lists() -> None:
    course = await run("  - each: {in: xs, as: x, do: [item], collect: {answer: ys}, at_most: 5}", outputs="[ys]", xs=[])
    assert course.outputs == {"ys": []}


async def test_items_beyond_the_bound_are_left_out_and_told() -> None:
    flow = "  - each: {in: xs, as: x, do: [item], collect: {answer: ys}, at_most: 2}"
    course = await run(flow, outputs="[ys]", xs=["a", "b", "c"])
    assert course.outputs == {"ys": ["cat-a", "cat-b"]}
    assert course.told(ItemsCut) == [ItemsCut("flow.0.each", 3, 2)]


async def test_lists_that_go_to_a_list_of_their_type_are_joined_without_repeats() -> None:
    flow = "  - each: {in: xs, as: x, do: [search], collect: {passages: passages}, at_most: 3}"
    deps = replace(fake_deps(), collections={"docs": MemorySearcher(passages("a", "b"))})
    course = await run(flow, deps, outputs="[passages]", xs=["1", "2"])
    assert [passage.id for passage in course.outputs["passages"]] == ["a", "b"]


async def test_no_more_items_than_allowed_are_in_work_at_once() -> None:
    now, most = 0, 0

    class Counting(ScriptedModel):
        async def complete(self, request: ChatRequest, on_text: object = None):  # type: ignore[no-untyped-def]
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            now -= 1
            return await super().complete(request)

    flow = "  - each: {in: xs, as: x, do: [ask], collect: {answer: ys}, at_most: 20, concurrency: 3}"
    deps = fake_deps(Counting(lambda request: "y"))
    course = await run(flow, deps, outputs="[ys]", xs=[str(n) for n in range(10)])
    assert course.outputs == {"ys": ["y"] * 10}
    assert most == 3


def failing_on(*bad: int) -> ScriptedModel:
    calls = iter(range(100))
    return ScriptedModel(lambda request: ModelError("no") if (n := next(calls)) in bad else f"y{n}")


async def test_a_failed_item_ends_the_run() -> None:
    flow = "  - each: {in: xs, as: x, do: [ask], collect: {answer: ys}, at_most: 3, concurrency: 1}"
    with pytest.raises(BranchError) as caught:
        await run(flow, fake_deps(failing_on(1)), outputs="[ys]", xs=["a", "b", "c"])
    assert (list(caught.value.failed), caught.value.gave, caught.value.cancelled) == (["1"], {"0": {"answer": "y0"}}, ("2",))


async def test_a_failed_item_may_be_left_out_of_all_lists() -> None:
    flow = (
        "  - each: {in: xs, as: x, do: [ask], collect: {answer: ys, x: asked}, at_most: 3, concurrency: 1, on_error: collect}"
    )
    course = await run(flow, fake_deps(failing_on(1)), outputs="[ys, asked]", xs=["a", "b", "c"])
    assert course.outputs == {"ys": ["y0", "y2"], "asked": ["a", "c"]}
    assert [event.outcome for event in course.told(BranchFinished)] == ["done", "failed", "done"]


async def test_when_all_items_fail_the_run_does() -> None:
    flow = "  - each: {in: xs, as: x, do: [broken], collect: {answer: ys}, at_most: 3, on_error: collect}"
    with pytest.raises(BranchError):
        await run(flow, outputs="[ys]", xs=["a", "b"])
