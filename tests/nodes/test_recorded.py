"""What was once written for a query is used again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import ValidationError

from agentrag.core.channels import MOST_BYTES
from agentrag.core.deps import Deps
from agentrag.core.errors import NodeError, RecordingError
from agentrag.core.events import CallFinished, Event, RunFinished
from agentrag.core.node import Node
from agentrag.core.ports import RecordingKind
from agentrag.core.sizes import Calls, Sizes
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.journal.memory import MemoryJournal
from agentrag.nodes.expand import Expand
from agentrag.nodes.recorded import RecordedDecomposition, RecordedReformulation, RecordedRequests
from agentrag.testing import ScriptedModel, fake_deps, passages

STATE = {"question": "How old is the pier?"}
GRAPH = """\
agentrag: 1
name: replayed
inputs: {question: str}
outputs: [passages]
channels: {passages: {max: 2}}
nodes:
  recall: {use: reformulate.recorded, method: query2doc-zs, model: gpt-4.1}
  asked: {use: retrieve, query: "{question}", k: 1}
  written: {use: retrieve, query: "{question} {variant_1}", k: 1}
flow:
  - recall
  - parallel: {branches: {asked: [asked], written: [written]}, join: {passages: rrf}}
"""


@dataclass
class Written:
    """Some texts for one query; keeps what it was asked for."""

    found: list[str]
    name: str = "piers"
    version: str = "1"
    query: str = "q7"
    asked: list[tuple[RecordingKind, str, str]] = field(default_factory=list)

    def texts(self, kind: RecordingKind, method: str, model: str) -> list[str]:
        self.asked.append((kind, method, model))
        return list(self.found)


def deps_with(*texts: str, **more: Any) -> tuple[Deps, Written]:
    written = Written(list(texts))
    return fake_deps(**more).but(recordings=written), written


def reformulation(**settings: Any) -> RecordedReformulation:
    return RecordedReformulation(method="query2doc-zs", model="gpt-4.1", **settings)


@pytest.mark.parametrize(
    ("texts", "n", "variants"),
    [
        (["The pier was built in 1869."], 1, ["The pier was built in 1869."]),
        (["a", "b", "c"], 2, ["a", "b"]),
        ([" a ", "a", "", "How old is the pier?", "b"], 3, ["a", "b"]),
        ([], 1, []),
    ],
    ids=["one", "more than asked for", "repeats, blanks and the question", "empty"],
)
async def test_recorded_reformulations_stand_after_the_question(texts: list[str], n: int, variants: list[str]) -> None:
    deps, written = deps_with(*texts)
    node = reformulation(n=n)
    out = await node(STATE, deps)
    assert written.asked == [("reformulation", "query2doc-zs", "gpt-4.1")]
    assert out["queries"] == [STATE["question"], *variants]
    lacking = [STATE["question"]] * (n - len(variants))
    assert [out[f"variant_{number}"] for number in range(1, n + 1)] == variants + lacking
    assert out.keys() == node.writes()


async def test_the_question_may_be_another_channel() -> None:
    deps, _ = deps_with("a")
    state = {"question": "And it?", "standalone": "How old is the pier?"}
    assert (await reformulation(question="{standalone}")(state, deps))["queries"] == ["How old is the pier?", "a"]
    out = await RecordedRequests(agent="react", question="{standalone}")(state, deps)
    assert out == {"queries": ["How old is the pier?", "a"]}


async def test_steps_stay_as_they_are_and_end_at_the_bound() -> None:
    deps, written = deps_with("Where is #9?", "Who built #1?", "When did #2 die?")
    assert await RecordedDecomposition()(STATE, deps) == {"sub_questions": written.found}
    assert await RecordedDecomposition(n=2)(STATE, deps) == {"sub_questions": written.found[:2]}
    assert written.asked == [("decomposition", "", "")] * 2


async def test_requests_of_an_agent_are_given_once_each_and_at_most_eight() -> None:
    deps, written = deps_with("a", "b", "a", *"cdefghijk")
    assert await RecordedRequests(agent="react")(STATE, deps) == {"queries": [STATE["question"], *"abcdefgh"]}
    assert await RecordedRequests(agent="react", n=2)(STATE, deps) == {"queries": [STATE["question"], "a", "b"]}
    assert written.asked == [("request", "", "react")] * 2


NODES: list[Node] = [reformulation(), RecordedDecomposition(), RecordedRequests(agent="react")]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
async def test_a_look_up_is_one_call_that_the_journal_sees(node: Node) -> None:
    events: list[Event] = []
    deps, _ = deps_with("a", events=events)
    await node(STATE, deps.at("flow.0:recall", "recall"))
    (told,) = [event for event in events if isinstance(event, CallFinished)]
    assert (told.step, told.kind, told.target, told.usage.calls) == ("flow.0:recall", "tool", "recorded/piers@1", 1)
    assert isinstance(deps.journal, MemoryJournal)
    (call,) = deps.journal.calls
    assert (call.effect, call.deterministic, call.request["query"]) == ("none", True, "q7")
    assert node.cost(Sizes({}, deps.prompts)) == Calls(other=1)


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
async def test_a_run_that_asks_no_query_of_a_data_set_is_told_so(node: Node) -> None:
    with pytest.raises(RecordingError, match="belong to the queries of a data set: run this graph with `agentrag eval"):
        await node(STATE, fake_deps())


def test_a_method_a_model_and_an_agent_must_be_named() -> None:
    for settings in ({"method": "m"}, {"model": "x"}, {"method": " ", "model": "x"}):
        with pytest.raises(ValidationError):
            RecordedReformulation.model_validate(settings)
    with pytest.raises(ValidationError):
        RecordedRequests(agent="")


async def replayed(deps: Deps, text: str = GRAPH) -> dict[str, Any]:
    return await execute(Program.of(load_graph_text(text, "case.yaml")), STATE, deps)


SHELF = passages("How old is the pier in 1869?", "ferry timetable", "the jetty dates from Victorian times")


async def test_a_graph_searches_for_the_question_and_for_what_is_recorded() -> None:
    deps, _ = deps_with("jetty dates from Victorian times built iron", collection=SHELF)
    found = await replayed(deps)
    assert {passage.text for passage in found["passages"]} == {SHELF[0].text, SHELF[2].text}


async def test_a_resumed_run_is_answered_from_its_journal() -> None:
    deps, written = deps_with("the jetty", collection=SHELF)
    deps = replace(deps, run="r1")
    first = await replayed(deps)
    assert await replayed(deps) == first
    assert written.asked == [("reformulation", "query2doc-zs", "gpt-4.1")]


async def test_other_recordings_under_the_same_name_are_looked_up_anew() -> None:
    deps, _ = deps_with("the jetty")
    node = reformulation()
    await node(STATE, deps)
    out = await node(STATE, deps.but(recordings=Written(["the pier"], version="2")))
    assert out["variant_1"] == "the pier"


async def test_a_budget_counts_the_look_up() -> None:
    events: list[Event] = []
    deps, _ = deps_with("the jetty", collection=SHELF, events=events)
    await replayed(deps, GRAPH + "budget: {calls: 10}\n")
    (end,) = [event for event in events if isinstance(event, RunFinished)]
    assert end.usage["recall"].calls == 1
    assert end.budget is not None
    assert end.budget.spent.calls == 3


async def test_a_run_without_recordings_fails_at_the_node() -> None:
    with pytest.raises(NodeError, match=r"Node 'recall' .* recorded outputs belong to the queries of a data set"):
        await replayed(fake_deps(collection=SHELF))


async def test_a_text_longer_than_a_channel_is_cut() -> None:
    deps, _ = deps_with("word " * 2000)
    text = GRAPH.replace("outputs: [passages]", "outputs: [variant_1, queries]")
    out = await replayed(deps, text)
    assert len(out["variant_1"]) == MOST_BYTES == len(out["queries"][1])


async def test_written_and_recorded_variants_fit_one_graph() -> None:
    model = ScriptedModel(["pier age"])
    text = GRAPH.replace(
        "nodes:\n", "models: {writer: default}\nnodes:\n  more: {use: expand, out: {queries: others, variant_1: other}, n: 1}\n"
    ).replace("flow:\n", "flow:\n  - more\n")
    deps, _ = deps_with("the jetty", model=model, collection=SHELF)
    out = await replayed(deps, text.replace("outputs: [passages]", "outputs: [queries, others]"))
    assert out == {"queries": [STATE["question"], "the jetty"], "others": [STATE["question"], "pier age"]}
    assert Expand.channels == RecordedReformulation.channels
