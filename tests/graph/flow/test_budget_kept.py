"""A budget is kept over pauses and failures, in parts of fan-outs, in inner graphs, and with a purse around it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.budget import NOTHING, Spend, Unit
from agentrag.core.channels import State
from agentrag.core.deps import Binding, Deps, Origin
from agentrag.core.errors import InputError, ModelError, PausedError
from agentrag.core.events import LoopFinished, RunFinished
from agentrag.core.node import ModelSlot, Node
from agentrag.core.types import ChatRequest, Completion, Message, Usage
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph
from agentrag.graph.planning.prices import Price
from agentrag.graph.spec import GraphSpec
from agentrag.journal.memory import MemoryJournal
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.flow.running import Course

HEAD = """\
agentrag: 1
name: %s
inputs: {question: str, parts: {type: "list[str]", default: []}}
outputs: [%s]
models: {writer: default}
channels: {answers: {type: "list[str]"}}
"""
PROMPT = "---\nabout: a\nsource: own\nversion: 1\ninputs: {question: data, part: data}\n---\n## user\n{question} {part?}\n"
_ASKS = "{use: generate, prompt: t/w, max_tokens: 40, temperature: 0.7%s}"
NODES: Mapping[str, str] = {
    **dict.fromkeys(("write", "last"), _ASKS % ""),
    "again": _ASKS % ", retry: 1",
}
ASK = '  - ask_human: {question: "go?", out: verdict}\n'


@dataclass
class Bench:
    """A folder for graphs, a model that counts, and one journal.

    Attributes:
        made: Calls of the model.
        fails: Numbers of the calls that fail, from 1.
    """

    folder: Path
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    made: int = 0
    fails: frozenset[int] = frozenset()
    changed: dict[str, Any] = field(default_factory=dict)

    def graph(self, flow: str, more: str = "", name: str = "outer", outputs: str = "answer") -> GraphSpec:
        """Write a graph of the nodes that its flow names, and load it."""
        used = "".join(f"  {node}: {said}\n" for node, said in NODES.items() if node in flow)
        file = self.folder / f"{name}.yaml"
        file.write_text(
            f"{HEAD % (name, outputs)}{more}{'nodes:' if used else 'nodes: {}'}\n{used}flow:\n{flow}", encoding="utf-8"
        )
        return load_graph(file)

    def answer(self, request: ChatRequest) -> Completion:
        self.made += 1
        if self.made in self.fails:
            raise ModelError("busy", retryable=True, retry_after=0.0)
        return Completion(f"a{self.made}", usage=Usage(1, 10, 5))

    async def run(self, spec: GraphSpec, budget: Mapping[str, Any], **more: Any) -> Course:
        """Begin the run, or go on with it."""
        events: list[Any] = []
        deps = fake_deps(ScriptedModel(self.answer), passages(*(f"p{number}" for number in range(9))))
        options = {"budget": dict(budget)} if budget else {}
        named = {"journal": self.journal, "run": "run", "prompts": spec.prompts, "origin": Origin(options=options)}
        deps = deps.but(**named | self.changed | more, listen=events.append)
        given = await execute(Program.of(spec), {"question": "q", "parts": ["a", "b", "c"]}, deps)
        return Course(given, events)

    async def paused_and_resumed(self, spec: GraphSpec, budget: Mapping[str, Any]) -> Course:
        """Run up to the question, and on."""
        with pytest.raises(PausedError) as caught:
            await self.run(spec, budget)
        for step in caught.value.questions:
            self.journal.settle("run", step, {"answer": "yes"})
        return await self.run(spec, budget)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "prompts" / "t").mkdir(parents=True)
    (tmp_path / "prompts" / "t" / "w.md").write_text(PROMPT, encoding="utf-8")
    return Bench(tmp_path)


def end(course: Course) -> RunFinished:
    return course.told(RunFinished)[0]


def each(steps: str, on_error: str, concurrency: int = 3) -> str:
    more = f"collect: {{answer: answers}}, at_most: 3, concurrency: {concurrency}, on_error: {on_error}"
    return f"  - each: {{in: parts, as: part, do: [{steps}], {more}}}\n"


async def test_what_failed_before_a_pause_counts_after_it(bench: Bench) -> None:
    bench.fails = frozenset({1, 2})
    spec = bench.graph(each("write", "collect", 1) + ASK + "  - last\n" * 6)
    course = await bench.paused_and_resumed(spec, {"calls": 7})
    told = end(course).budget
    assert told is not None
    assert (bench.made, told.spent.calls, told.over) == (7, 7, {})
    assert [ended.unit for ended in end(course).limited] == ["calls"]


async def test_limits_stay_with_a_run_that_is_gone_on_with(bench: Bench) -> None:
    spec = bench.graph("  - write\n" + ASK + "  - last\n" * 4)
    with pytest.raises(PausedError):
        await bench.run(spec, {"calls": 2})
    bench.journal.settle("run", "flow.1.ask_human", {"answer": "yes"})
    await bench.run(spec, {})
    assert bench.made == 2


async def test_time_goes_on_where_it_stopped(bench: Bench) -> None:
    waits: list[float] = []

    class Slow(ScriptedModel):
        async def complete(self, request: ChatRequest, on_text: Any = None) -> Completion:
            begun = asyncio.get_running_loop().time()
            try:
                await asyncio.sleep(0.12 if not waits else 3600)
            finally:
                waits.append(asyncio.get_running_loop().time() - begun)
            return Completion("a", usage=Usage(1, 1, 1))

    bench.changed = {"models": {"writer": Slow([]), "default": Slow([])}}
    spec = bench.graph("  - write\n" + ASK + "  - last\n")
    course = await bench.paused_and_resumed(spec, {"seconds": 0.2})
    assert [ended.unit for ended in end(course).limited] == ["seconds"]
    assert waits[1] < 0.12


@pytest.mark.parametrize("calls", [3, 4, 5, 6])
@pytest.mark.parametrize("on_error", ["fail", "collect"])
async def test_no_part_takes_what_was_set_aside_for_another(bench: Bench, calls: int, on_error: str) -> None:
    spec = bench.graph(each("{repeat: {do: [write], at_most: 2}}", on_error), outputs="answers")
    course = await bench.run(spec, {"calls": calls})
    assert len(course.outputs["answers"]) == 3
    assert bench.made == calls


async def test_an_inner_graph_does_not_pay_for_the_steps_after_it(bench: Bench) -> None:
    bench.graph("  - repeat: {do: [write], at_most: 5}\n", "budget: {calls: 3}\n", name="inner")
    spec = bench.graph("  - graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}}\n" + "  - last\n" * 8)
    course = await bench.run(spec, {"calls": 100})
    assert [loop.rounds for loop in course.told(LoopFinished)] == [3]
    assert bench.made == 3 + 8


async def test_a_share_is_of_what_is_left_in_whole_calls(bench: Bench) -> None:
    bench.graph("  - repeat: {do: [write], at_most: 9}\n", name="inner")
    nested = "  - graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}, share: 0.5}\n"
    spec = bench.graph("  - last\n" + nested)
    course = await bench.run(spec, {"calls": 8})
    assert [loop.rounds for loop in course.told(LoopFinished)] == [3]
    assert [ended.step for ended in end(course).limited] == ["flow.1.graph.0.repeat"]


async def test_an_inner_budget_counts_over_a_pause(bench: Bench) -> None:
    bench.fails = frozenset({1})
    bench.graph("  - again\n" + ASK + "  - write\n  - last\n", "budget: {calls: 3}\n", name="inner")
    spec = bench.graph("  - graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}}\n")
    await bench.paused_and_resumed(spec, {})
    assert bench.made == 3


@pytest.mark.parametrize(
    ("rung", "budget", "made"),
    [("finish: loops", {"calls": 4}, 4), ("rebind: {writer: local}", {"usd": 0.05}, 5)],
    ids=["finish", "rebind"],
)
async def test_the_ladder_around_helps_inside_an_inner_graph(bench: Bench, rung: str, budget: Any, made: int) -> None:
    bench.changed = {
        "rates": {"writer": Price(1000.0, 1000.0)},
        "bindings": {"local": Binding(ScriptedModel(bench.answer), Price(0.0, 0.0))},
    }
    bench.graph("  - repeat: {do: [write], at_most: 4}\n", name="inner")
    nested = "  - graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}}\n"
    spec = bench.graph(nested + "  - last\n", f"degrade:\n  - {rung}\n")
    course = await bench.run(spec, budget)
    assert [taken.rung.partition(" ")[0] for taken in end(course).degraded] == [rung.partition(":")[0]]
    assert (bench.made, end(course).limited) == (made, ())


class Gathering(Node):
    """Asks three times at once, in a way that leaves calls behind when one fails."""

    model: ModelSlot = "writer"

    def writes(self) -> frozenset[str]:
        return frozenset({"answer"})

    async def __call__(self, state: State, deps: Deps) -> State:
        requests = (ChatRequest((Message("user", str(number)),), max_tokens=4) for number in range(3))
        replies = await asyncio.gather(*(deps.chat("writer", request) for request in requests))
        return {"answer": replies[0].text}


async def test_calls_that_a_node_leaves_behind_end_with_it(bench: Bench) -> None:
    ended: list[str] = []

    class Endless(ScriptedModel):
        async def complete(self, request: ChatRequest, on_text: Any = None) -> Completion:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(request.messages[0].content)
            raise ModelError("never")

    bench.changed = {"models": {"writer": Endless([])}}
    spec = bench.graph("  - write\n").model_copy(update={"nodes": {"write": Gathering()}})
    course = await bench.run(spec, {"calls": 2})
    told = end(course).budget
    assert told is not None
    assert (sorted(ended), told.spent.calls) == (["0", "1"], 2)


@pytest.mark.parametrize("where", ["inner", "rung"])
async def test_money_is_limited_only_where_all_that_may_be_asked_has_a_price(bench: Bench, where: str) -> None:
    inner = "budget: {usd: 0.1}\n" if where == "inner" else ""
    bench.graph("  - write\n", inner, name="inner")
    rungs = "degrade:\n  - rebind: {writer: local}\n" if where == "rung" else ""
    spec = bench.graph("  - graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}}\n  - last\n", rungs)
    if where == "rung":
        bench.changed = {"rates": {"writer": Price(1.0, 1.0)}, "bindings": {"local": Binding(ScriptedModel([]), Price())}}
    with pytest.raises(InputError, match=r"price of .* is not known"):
        await bench.run(spec, {"usd": 1.0} if where == "rung" else {})


async def test_answers_are_priced_as_answers(bench: Bench) -> None:
    bench.changed = {"rates": {"writer": Price(1.0, 1000.0)}}
    course = await bench.run(bench.graph("  - write\n"), {"usd": 1.0})
    told = end(course).budget
    assert told is not None
    assert told.spent.usd == pytest.approx((10 * 1.0 + 5 * 1000.0) / 1e6)


@dataclass
class Pocket:
    """A purse of so many calls."""

    calls: float
    reserved: Spend = NOTHING

    def left(self) -> Mapping[Unit, float]:
        return {"calls": self.calls - self.reserved.calls}

    def reserve(self, amount: Spend) -> Unit | None:
        if amount.calls > self.left()["calls"]:
            return "calls"
        self.reserved = self.reserved.plus(amount)
        return None

    def settle(self, reserved: Spend, spent: Spend) -> None:
        self.reserved = self.reserved.minus(reserved)
        self.calls -= spent.calls


async def test_a_purse_is_known_to_ladders_and_fan_outs_and_given_back(bench: Bench) -> None:
    purse = Pocket(4)
    looped = bench.graph("  - repeat: {do: [write], at_most: 9}\n  - last\n", "degrade:\n  - finish: loops\n")
    course = await bench.run(looped, {}, purse=purse)
    assert [taken.rung for taken in end(course).degraded] == ["finish loops"]
    assert (purse.calls, purse.reserved) == (0, NOTHING)
    wide = bench.graph(each("write", "fail"), outputs="answers")
    course = await bench.run(wide, {}, purse=Pocket(2), run="other")
    assert (course.outputs, bench.made) == ({"answers": []}, 4)
