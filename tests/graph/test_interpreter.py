"""Running a flow without LangGraph."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agentrag.core.channels import Channel
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError, ModelError, NodeError, RunError
from agentrag.core.events import ChoiceMade, Event, RunFinished, RunStarted, StepFinished, StepStarted
from agentrag.core.types import Message, Passage, Usage
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.graph.values.bounds import merge
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages
from tests.graph.sample_nodes import PROMPTS

HEAD = "agentrag: 1\nname: case\ninputs: {question: str, style: {type: str, default: full, values: [full, short]}}\n"
CHOICE = """\
outputs: [answer]
nodes:
  search: {use: t.search, k: 2}
  none: {use: t.say, text: "nothing about {question}"}
  decide: {use: t.decide}
flow:
  - search
  - choose:
      - when: "size(passages) == 0"
        do: [none]
      - when: "style == 'short'"
        do:
          - decide
          - choose:
              - when: "gate.retrieve"
                do: [none]
              - otherwise: []
          - none
      - otherwise: [none, none]
"""


async def run(body: str, deps: Deps | None = None, **inputs: Any) -> tuple[dict[str, Any], list[Event]]:
    events: list[Event] = []
    listening = replace(deps or fake_deps(collection=passages("a cat")), listen=events.append)
    program = Program.of(load_graph_text(HEAD + body, "case.yaml"))
    return await execute(program, {"question": "cat?", **inputs}, listening), events


@pytest.mark.parametrize(
    ("found", "style", "branches", "steps"),
    [
        ([], "full", ["size(passages) == 0"], ["flow.1.choose.0.0:none"]),
        (["cat"], "full", ["otherwise"], ["flow.1.choose.otherwise.0:none", "flow.1.choose.otherwise.1:none"]),
        (
            ["cat"],
            "short",
            ["style == 'short'", "gate.retrieve"],
            ["flow.1.choose.1.0:decide", "flow.1.choose.1.1.choose.0.0:none", "flow.1.choose.1.2:none"],
        ),
    ],
    ids=["first", "otherwise", "nested"],
)
async def test_a_choice_takes_the_first_branch_that_holds(
    found: list[str], style: str, branches: list[str], steps: list[str]
) -> None:
    outputs, events = await run(CHOICE, fake_deps(collection=passages(*found)), style=style)
    assert outputs == {"answer": "nothing about cat?"}
    assert [event.branch for event in events if isinstance(event, ChoiceMade)] == branches
    assert [event.step for event in events if isinstance(event, StepStarted)] == ["flow.0:search", *steps]


async def test_a_run_tells_its_start_every_step_and_its_end() -> None:
    outputs, events = await run('outputs: [answer]\nnodes: {say: {use: t.say, text: "{style}"}}\nflow: [say]')
    assert [type(event) for event in events] == [RunStarted, StepStarted, StepFinished, RunFinished]
    assert isinstance(events[2], StepFinished)
    assert (events[2].step, events[2].node, events[2].wrote) == ("flow.0:say", "say", {"answer": "full"})
    assert events[2].seconds >= 0
    state = {"question": "cat?", "style": "full", "answer": "full"}
    assert isinstance(events[0], RunStarted)
    assert events[3] == RunFinished(events[0].run, outputs, state, {}, {})


async def test_a_run_without_an_id_gets_one() -> None:
    events: list[Event] = []
    deps = replace(fake_deps(events=events), run="")
    program = Program.of(load_graph_text(HEAD + "outputs: [answer]\nnodes: {say: {use: t.say, text: a}}\nflow: [say]", "f"))
    for _ in range(2):
        await execute(program, {"question": "?"}, deps)
    ids = {event.run for event in events if isinstance(event, RunStarted)}
    assert len(ids) == 2
    assert "" not in ids


async def test_usage_adds_up_by_node() -> None:
    body = """\
outputs: [answer]
models: {writer: default}
nodes: {ask: {use: t.ask, prompt: t/plain}, search: {use: t.search}}
flow: [search, ask, ask]
"""
    model = ScriptedModel(["one two", "three"])
    events: list[Event] = []
    deps = fake_deps(model=model, collection=passages("cat"), events=events)
    program = Program.of(load_graph_text(HEAD + body, "f", PROMPTS))
    await execute(program, {"question": "cat?"}, deps)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert {node: (usage.calls, usage.completion_tokens) for node, usage in end.usage.items()} == {
        "search": (1, 0),
        "ask": (2, 3),
    }
    assert end.saved == {"search": Usage(), "ask": Usage()}


@pytest.mark.parametrize(
    ("how", "said", "cause"),
    [
        ("model", "Node 'fail' (step flow.0:fail) failed: the server said 429", ModelError),
        ("group", "Node 'fail' (step flow.0:fail) failed: the first of two", ModelError),
        ("bug", "Node 'fail' (step flow.0:fail) failed: ZeroDivisionError", ZeroDivisionError),
        ("mutate", "Node 'fail' (step flow.0:fail) failed: TypeError: 'mappingproxy' object does not", TypeError),
    ],
)
async def test_a_failing_node_is_named_with_its_step_and_its_cause_is_chained(
    how: str, said: str, cause: type[Exception]
) -> None:
    with pytest.raises(NodeError) as caught:
        await run(f"outputs: [answer]\nnodes: {{fail: {{use: t.fail, how: {how}}}}}\nflow: [fail]")
    assert str(caught.value).startswith(said)
    assert (caught.value.node, caught.value.step) == ("fail", "flow.0:fail")
    assert isinstance(caught.value.__cause__, cause)


@pytest.mark.parametrize(
    ("declared", "written", "said"),
    [
        ("[answer]", "{answer: a, citations: []}", "it wrote 'citations', which its writes() does not name"),
        ("[answer, citations]", "{answer: a}", "it did not write 'citations', which its writes() names"),
    ],
)
async def test_a_node_that_does_not_write_what_it_declares_fails(declared: str, written: str, said: str) -> None:
    with pytest.raises(NodeError, match=r"^Node 'w' \(step flow.0:w\) failed: ") as caught:
        await run(f"outputs: [answer]\nnodes: {{w: {{use: t.write, declared: {declared}, written: {written}}}}}\nflow: [w]")
    assert said in str(caught.value)


async def test_a_condition_without_a_value_names_its_step() -> None:
    choice = '{choose: [{when: "passages[5].end > 1", do: []}, {otherwise: []}]}'
    body = f"outputs: [passages]\nnodes: {{search: {{use: t.search}}}}\nflow: [search, {choice}]"
    with pytest.raises(RunError, match=r"Step flow.1.choose: 'passages\[5\].end > 1' cannot be evaluated"):
        await run(body)


async def test_cancelling_a_run_cancels_the_node_that_works() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    class Slow:
        name = "slow"
        version = "1"

        async def search(self, request: object) -> list[Passage]:
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()
            return []

    task = asyncio.create_task(run("outputs: [passages]\nnodes: {s: {use: t.search}}\nflow: [s]", fake_deps(collection=Slow())))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


ITEMS = """\
outputs: [items]
channels: {items: {merge: %s, max: %s}}
nodes: {one: {use: t.add, items: [a, b]}, two: {use: t.add, items: [b, c, d]}}
flow: [one, two]
"""


@pytest.mark.parametrize(
    ("how", "bound", "items"),
    [("replace", 9, "bcd"), ("append_new", 9, "abcd"), ("append_new", 3, "abc"), ("replace", 1, "b")],
)
async def test_writes_merge_and_stay_within_the_bound(how: str, bound: int, items: str) -> None:
    outputs, _ = await run(ITEMS % (how, bound))
    assert outputs == {"items": list(items)}


def test_a_passage_found_again_with_another_score_is_not_new() -> None:
    channel = Channel(list[Passage], merge="append_new")
    first, again = Passage("1", "t", "s", score=0.9), Passage("1", "t", "s", score=0.1)
    other = Passage("1", "t", "s", collection="b")
    assert merge(channel, [first], [again, other]) == [first, other]


def test_a_bounded_conversation_keeps_its_latest_turns() -> None:
    turns = [Message("user", str(number)) for number in range(5)]
    assert merge(Channel(list[Message], max=2), None, turns) == turns[-2:]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "Input 'question' (str) is missing."),
        (
            {"question": "a", "stlye": "full"},
            "Unknown input 'stlye'. Did you mean 'style'? Known: history, n, question, style.",
        ),
        ({"question": 3}, "Input 'question': 3 is not of type str."),
        ({"question": "a", "style": "long"}, "Input 'style': 'long' is not one of full, short."),
        ({"question": "a", "n": "many"}, "Input 'n': 'many' is not of type int."),
        ({"question": "a", "history": [{"role": "boss"}]}, "is not of type history at 0.role."),
        ({"style": "long"}, "Input 'question' (str) is missing. Input 'style': 'long' is not one of full, short."),
    ],
)
async def test_a_wrong_input_is_refused_by_name_before_anything_runs(inputs: dict[str, Any], said: str) -> None:
    head = HEAD.replace("{question: str,", "{question: str, history: {type: history, default: []}, n: {type: int, default: 1},")
    program = Program.of(load_graph_text(head + "outputs: [answer]\nnodes: {say: {use: t.say, text: a}}\nflow: [say]", "f"))
    events: list[Event] = []
    with pytest.raises(InputError) as caught:
        await execute(program, inputs, fake_deps(events=events))
    assert str(caught.value).startswith("Graph 'case': ")
    assert said in str(caught.value)
    assert events == []


async def test_inputs_convert_and_defaults_fill_in() -> None:
    head = HEAD.replace("{question: str,", "{question: str, history: {type: history, default: []}, n: {type: int, default: 1},")
    program = Program.of(load_graph_text(head + "outputs: [answer]\nnodes: {say: {use: t.say, text: a}}\nflow: [say]", "f"))
    events: list[Event] = []
    turns = [{"role": "user", "content": str(number)} for number in range(50)]
    await execute(program, {"question": "q", "history": turns, "n": "3"}, fake_deps(events=events))
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert (end.state["n"], end.state["style"]) == (3, "full")
    assert end.state["history"] == [Message("user", str(number)) for number in range(10, 50)]


@pytest.mark.parametrize("given", [{"question": "what \udcff is"}, {"question": "q", "style": "\udcff"}])
async def test_an_input_that_is_no_text_is_refused_before_anything_runs(given: dict[str, str]) -> None:
    program = Program.of(load_graph_text(HEAD + CHOICE, "case.yaml", PROMPTS))
    with pytest.raises(InputError, match="give it in UTF-8"):
        await execute(program, given, fake_deps(ScriptedModel([])))
