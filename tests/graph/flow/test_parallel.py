"""Branches that run at once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from agentrag.core.errors import BranchError, ModelError, NodeError, RunError
from agentrag.core.events import BranchFinished, Event, StepFinished, StepStarted
from agentrag.graph.interpreter import execute
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.flow.running import Course, program, run


def outcomes(course: Course) -> dict[str, str]:
    return {event.branch: event.outcome for event in course.told(BranchFinished)}


async def test_branches_see_the_state_before_them_and_their_values_are_joined() -> None:
    flow = "  - parallel: {branches: {a: [search], b: [wide]}, join: {passages: rrf}}\n  - fast"
    course = await run(flow, outputs="[answer, passages]")
    assert [passage.id for passage in course.outputs["passages"]] == ["a cat", "cat", "dog"]
    assert outcomes(course) == {"a": "done", "b": "done"}


async def test_branches_run_at_once() -> None:
    flow = "  - parallel: {branches: {a: [slow], b: [slow], c: [slow]}, join: {answer: vote}}"
    course = await run(flow)
    assert course.outputs == {"answer": "slow"}
    steps = [type(event) for event in course.events if isinstance(event, StepStarted | StepFinished)]
    assert steps == [StepStarted] * 3 + [StepFinished] * 3


async def test_values_are_joined_in_the_order_of_the_file_and_not_of_time() -> None:
    course = await run("  - parallel: {branches: {late: [slow], early: [fast]}, join: {answer: concat}}")
    assert course.outputs == {"answer": "slow\n\nfast"}


async def test_the_first_branch_wins_and_the_others_are_cancelled() -> None:
    begun = time.perf_counter()
    course = await run("  - parallel: {branches: {never: [stuck], late: [slow], soon: [fast]}, wait: first}")
    assert course.outputs == {"answer": "fast"}
    assert outcomes(course) == {"never": "cancelled", "late": "cancelled", "soon": "done"}
    assert time.perf_counter() - begun < 5
    assert len(asyncio.all_tasks()) == 1


async def test_a_quorum_is_waited_for() -> None:
    flow = "  - parallel: {branches: {a: [stuck], b: [slow], c: [fast]}, wait: {quorum: 2}, join: {answer: concat}}"
    course = await run(flow)
    assert course.outputs == {"answer": "slow\n\nfast"}
    assert outcomes(course) == {"a": "cancelled", "b": "done", "c": "done"}


async def test_a_failed_branch_ends_the_run_and_says_what_the_others_gave() -> None:
    flow = "  - parallel: {branches: {good: [search], bad: [slow, broken], long: [stuck]}, join: {answer: vote}}"
    with pytest.raises(BranchError) as caught:
        await run(flow)
    error = caught.value
    assert list(error.failed) == ["bad"]
    assert "the server said 429" in error.failed["bad"]
    assert [passage.id for passage in error.gave["good"]["passages"]] == ["a cat", "cat"]
    assert error.cancelled == ("long",)
    assert isinstance(error.__cause__, NodeError)
    assert isinstance(error.__cause__.__cause__, ModelError)
    told = "branch 'good' gave passages; branch 'long' was cancelled"
    assert str(error).startswith("Step flow.0.parallel: branch 'bad' failed: Node 'broken'")
    assert str(error).endswith(told)


async def test_a_failed_branch_may_be_left_out() -> None:
    flow = "  - parallel: {branches: {bad: [broken], good: [fast]}, on_error: collect, join: {answer: first}}"
    course = await run(flow)
    assert course.outputs == {"answer": "fast"}
    failed = next(event for event in course.told(BranchFinished) if event.branch == "bad")
    assert failed.outcome == "failed"
    assert "429" in failed.reason


@pytest.mark.parametrize(
    "terms", ["on_error: collect", "wait: first, on_error: collect", "wait: {quorum: 2}, on_error: collect"]
)
async def test_when_too_many_branches_fail_the_run_does(terms: str) -> None:
    flow = f"  - parallel: {{branches: {{a: [broken], b: [broken], c: [broken]}}, join: {{answer: first}}, {terms}}}"
    with pytest.raises(BranchError, match=r"branch 'a' failed: .*; branch 'b' failed: "):
        await run(flow)


async def test_the_first_good_branch_is_waited_for_where_failures_are_collected() -> None:
    course = await run("  - parallel: {branches: {bad: [broken], good: [slow]}, wait: first, on_error: collect}")
    assert course.outputs == {"answer": "slow"}


async def test_only_what_a_branch_wrote_is_joined() -> None:
    flow = """\
  - fast
  - parallel:
      branches:
        writes: [slow]
        may:
          - choose:
              - when: "question == 'x'"
                do: [tell]
              - otherwise: []
      join: {answer: concat}
"""
    assert (await run(flow)).outputs == {"answer": "slow"}
    assert (await run(flow, question="x")).outputs == {"answer": "slow\n\nx fast"}


async def test_a_branch_that_writes_the_value_that_was_there_wrote_it() -> None:
    flow = """\
  - fast
  - parallel:
      branches:
        a:
          - choose:
              - when: "question == 'cat'"
                do: [fast]
              - otherwise: []
        b: [slow]
      join: {answer: first}
"""
    assert (await run(flow)).outputs == {"answer": "fast"}
    assert (await run(flow, question="dog")).outputs == {"answer": "slow"}


async def test_no_branch_is_waited_for_when_too_few_can_end_well() -> None:
    begun = time.perf_counter()
    flow = "  - parallel: {branches: {a: [broken], b: [stuck]}, wait: {quorum: 2}, on_error: collect, join: {answer: first}}"
    with pytest.raises(BranchError, match=r"branch 'a' failed: .*branch 'b' was cancelled"):
        await run(flow)
    assert time.perf_counter() - begun < 5


async def test_a_branch_that_waits_for_a_person_was_not_cancelled() -> None:
    flow = """\
  - parallel:
      branches:
        bad: [slow, broken]
        asks: [ask_human: {question: "?", out: decision}]
"""
    events: list[Event] = []
    with pytest.raises(BranchError) as caught:
        await execute(program(flow), {"question": "cat"}, replace(fake_deps(), listen=events.append))
    assert (list(caught.value.failed), caught.value.cancelled) == (["bad"], ())
    ended = {event.branch: event.outcome for event in events if isinstance(event, BranchFinished)}
    assert ended == {"bad": "failed", "asks": "waits"}


async def test_a_resumed_run_takes_the_branch_that_won_before() -> None:
    journal = MemoryJournal()
    deps = replace(fake_deps(), journal=journal, run="again")
    flow = "  - parallel: {branches: {a: [slow], b: [fast]}, wait: first}\n  - ask"
    with pytest.raises(RunError, match="script"):
        await run(flow, replace(deps, models={"writer": ScriptedModel([])}))
    swapped = flow.replace("a: [slow], b: [fast]", "a: [fast], b: [slow]")  # now `a` would win
    course = await run(swapped, replace(deps, models={"writer": ScriptedModel(["end"])}))
    assert [event.node for event in course.told(StepFinished)] == ["slow", "ask"]
    assert outcomes(course) == {"a": "cancelled", "b": "done"}


async def test_a_resumed_run_does_not_run_again_what_failed_and_was_left_out() -> None:
    journal = MemoryJournal()
    deps = replace(fake_deps(collection=passages("cat")), journal=journal, run="again")
    flow = "  - parallel: {branches: {bad: [broken], good: [search]}, on_error: collect}\n  - ask"
    with pytest.raises(RunError, match="script"):
        await run(flow, replace(deps, models={"writer": ScriptedModel([])}))
    course = await run(flow, replace(deps, models={"writer": ScriptedModel(["end"])}))
    assert [event.node for event in course.told(StepFinished)] == ["search", "ask"]
    assert outcomes(course) == {"bad": "failed", "good": "done"}
