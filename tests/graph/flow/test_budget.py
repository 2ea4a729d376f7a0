"""Runs under a budget: what is refused, what is made cheaper first, and what is given in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agentrag.core.budget import Spend, Unit
from agentrag.core.deps import Binding, Deps, Origin
from agentrag.core.errors import InputError, ModelError
from agentrag.core.events import BranchFinished, LoopFinished, RunFinished, StepFailed
from agentrag.core.exchange import may_exchange
from agentrag.core.ports import OnText
from agentrag.core.prompts import Prompts
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.graph.planning.prices import Price
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.flow.running import Course

PROMPTS = Prompts(
    texts={
        "t/w": "---\nabout: a\nsource: own\nversion: 1\ninputs: {question: data, passages: data}\n---\n"
        "## user\n{question} {passages?}"
    }
)
HEAD = """\
agentrag: 1
name: case
inputs: {question: str, parts: {type: "list[str]", default: []}}
outputs: [%s]
models: {writer: default}
channels: {answers: {type: "list[str]"}}
"""
NODES: Mapping[str, str] = {
    "search": '{use: retrieve, k: 5, query: "{question} {answer?}"}',
    "write": "{use: generate, prompt: t/w, model: writer, max_tokens: 40}",
    "last": "{use: generate, prompt: t/w, model: writer, max_tokens: 40}",
    "refuse": "{use: abstain}",
}
LOOP = """\
  - repeat:
      do: [search, write]
      at_most: 5
  - last
"""


def counting() -> ScriptedModel:
    """A model whose every answer is another."""
    numbers = iter(range(1000))
    return ScriptedModel(lambda request: f"answer {next(numbers)}")


async def spent(
    flow: str, budget: dict[str, Any], deps: Deps | None = None, *, outputs: str = "answer", more: str = ""
) -> Course:
    """Run a flow under a caller's budget."""
    used = "".join(f"  {name}: {node}\n" for name, node in NODES.items() if name in flow)
    spec = load_graph_text(f"{HEAD % outputs}{more}nodes:\n{used}flow:\n{flow}", "case.yaml", PROMPTS)
    events: list[Any] = []
    deps = deps or fake_deps(counting(), passages(*(f"p{number}" for number in range(9))))
    deps = deps.but(prompts=PROMPTS, listen=events.append, origin=Origin(options={"budget": budget}))
    given = await execute(Program.of(spec), {"question": "q", "parts": ["a", "b", "c"]}, deps)
    return Course(given, events)


def end(course: Course) -> RunFinished:
    return course.told(RunFinished)[0]


async def test_a_run_without_a_budget_counts_nothing() -> None:
    course = await spent(LOOP, {})
    assert end(course).budget is None
    assert course.outputs == {"answer": "answer 5"}


@pytest.mark.parametrize(("calls", "rounds", "made"), [(11, 5, 11), (9, 4, 9), (8, 3, 7), (3, 1, 3)])
async def test_a_loop_ends_when_no_further_round_and_what_follows_can_be_paid(calls: int, rounds: int, made: int) -> None:
    course = await spent(LOOP, {"calls": calls})
    assert course.outputs == {"answer": f"answer {rounds}"}
    (loop,) = course.told(LoopFinished)
    assert (loop.rounds, loop.why) == (rounds, "exhausted" if rounds == 5 else "budget")
    told = end(course).budget
    assert told is not None
    assert told.spent.calls == made
    assert bool(end(course).limited) == (rounds < 5)


async def test_a_round_that_is_cut_leaves_nothing_and_the_best_one_stays() -> None:
    def answers(request: ChatRequest) -> Completion:
        return Completion("long " * 4, usage=Usage(1, 30, 60))

    course = await spent("  - repeat: {do: [search, write], at_most: 5}\n", {"tokens": 220}, fake_deps(ScriptedModel(answers)))
    (loop,) = course.told(LoopFinished)
    assert (loop.rounds, loop.why, loop.kept) == (2, "budget", 2)
    assert course.outputs == {"answer": "long long long long"}
    assert [event.node for event in course.told(StepFailed)] == ["write"]
    assert [ended.unit for ended in end(course).limited] == ["tokens"]


async def test_without_a_complete_round_the_run_abstains_with_a_reason() -> None:
    course = await spent(LOOP + "  - refuse\n", {"calls": 1}, outputs="answer, abstained")
    assert course.outputs == {"answer": "", "abstained": True}
    (why,) = end(course).limited
    assert why.reason == "the run's budget of 1 calls has too little left"


async def test_rungs_are_taken_in_order_when_they_help_and_only_then() -> None:
    ladder = "degrade:\n  - set: {last.max_tokens: 1}\n  - set: {search.k: 2}\n  - finish: loops\n"
    course = await spent(LOOP, {"passages": 11}, more=ladder)
    assert [(taken.step, taken.rung) for taken in end(course).degraded] == [
        ("flow.0.repeat#3", "set search.k: 2"),
        ("flow.0.repeat#3", "finish loops"),
    ]
    assert [len(event.state["passages"]) for event in course.told(RunFinished)] == [5]
    assert end(course).limited == ()


async def test_a_rung_stays_taken() -> None:
    course = await spent(LOOP, {"passages": 13}, more="degrade:\n  - set: {search.k: 1}\n")
    assert [taken.step for taken in end(course).degraded] == ["flow.0.repeat#3"]
    told = end(course).budget
    assert told is not None
    assert told.spent.passages == 5 + 5 + 1 + 1 + 1


async def test_a_slot_is_bound_anew_when_money_runs_out() -> None:
    dear, cheap = counting(), counting()
    deps = fake_deps(dear).but(rates={"writer": Price(1e6, 1e6)}, bindings={"local": Binding(cheap, Price(0.0, 0.0))})
    flow = "  - write\n  - last\n"
    course = await spent(flow, {"usd": 100.0}, deps, more="degrade:\n  - rebind: {writer: local}\n")
    assert [taken.rung for taken in end(course).degraded] == ["rebind writer: local"]
    assert (len(dear.requests), len(cheap.requests)) == (0, 2)


async def test_money_is_counted_only_where_every_price_is_known() -> None:
    with pytest.raises(InputError, match="price of the model in slot 'writer' is not known"):
        await spent("  - write\n", {"usd": 1.0})
    course = await spent("  - write\n", {"usd": 1.0, "mode": "audit"})
    assert course.outputs == {"answer": "answer 0"}


async def test_audit_refuses_nothing_and_tells_by_how_much_limits_were_passed() -> None:
    course = await spent(LOOP, {"calls": 3, "passages": 100, "mode": "audit"}, more="degrade:\n  - finish: loops\n")
    told = end(course).budget
    assert told is not None
    assert (told.spent.calls, told.over, end(course).degraded) == (11, {"calls": 8}, ())


@pytest.mark.parametrize(("on_error", "searched"), [("fail", 0), ("collect", 2)])
async def test_a_fan_out_that_needs_all_of_its_parts_begins_only_where_all_can_be_paid(on_error: str, searched: int) -> None:
    flow = f"""\
  - each:
      in: parts
      as: part
      do: [search, write]
      collect: {{answer: answers}}
      at_most: 3
      concurrency: 3
      on_error: {on_error}
"""
    course = await spent(flow, {"passages": 10}, outputs="answers")
    told = end(course).budget
    assert told is not None
    assert told.spent.passages == 5 * searched
    outcomes = [event.outcome for event in course.told(BranchFinished)]
    assert outcomes == (["done", "done", "failed"] if searched else [])
    assert len(course.outputs["answers"]) == searched
    assert [ended.unit for ended in end(course).limited] == ["passages"]


async def test_what_a_branch_takes_of_the_ladder_counts_after_the_join() -> None:
    flow = """\
  - parallel:
      branches:
        one: [search, write]
        two: [last]
      join: {answer: first}
  - search
"""
    course = await spent(flow, {"passages": 7}, more="degrade:\n  - set: {search.k: 2}\n")
    assert [taken.step for taken in end(course).degraded] == ["flow.0.parallel"]
    told = end(course).budget
    assert told is not None
    assert told.spent.passages == 4


async def test_a_refused_retry_ends_with_the_best_there_is() -> None:
    class Busy:
        name = "busy"
        asked = 0

        async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
            self.asked += 1
            while may_exchange(request):
                self.asked += 1
            raise ModelError("busy", retryable=True, retry_after=0.0)

        async def aclose(self) -> None:
            """Nothing is held."""

    busy = Busy()
    course = await spent("  - search\n  - write\n", {"calls": 4}, fake_deps(busy, passages("a")))
    assert busy.asked == 3
    assert course.outputs == {"answer": ""}


async def test_time_that_is_up_ends_what_runs() -> None:
    class Endless:
        name = "endless"

        async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
            await asyncio.sleep(3600)
            raise ModelError("never")

        async def aclose(self) -> None:
            """Nothing is held."""

    course = await spent(
        "  - search\n  - write\n", {"seconds": 0.05}, fake_deps(Endless(), passages("a")), outputs="answer, passages"
    )
    assert [passage.id for passage in course.outputs["passages"]] == ["a"]
    assert [ended.unit for ended in end(course).limited] == ["seconds"]


@pytest.mark.parametrize(("left", "taken"), [(4, "write"), (2, "refuse")])
async def test_conditions_see_what_is_left(left: int, taken: str) -> None:
    flow = """\
  - choose:
      - when: "budget.left.calls > 3 && budget.left.passages > 1000000 && budget.left.usd > 1000.0"
        do: [write]
      - otherwise: [refuse]
"""
    course = await spent(flow, {"calls": left})
    assert course.outputs == {"answer": "answer 0" if taken == "write" else "not in the documents"}


def test_units_are_those_of_amounts() -> None:
    assert Unit.__args__ == Spend._fields  # type: ignore[attr-defined]
