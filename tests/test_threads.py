"""Conversations that a journal keeps: their turns are the history of the next one, also after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentrag.app import Graph
from agentrag.core.errors import NodeError
from agentrag.core.types import Message
from agentrag.threads import Thread
from tests.runs_place import STEPS, Place, place_in

TALKS = """\
agentrag: 1
name: talks
inputs: {question: str, history: {type: history, default: []}}
outputs: [answer]
models: {writer: default}
nodes:
  draft: {use: generate, prompt: t/talk}
flow: [draft]
"""
PROMPT = """\
---
about: what a test asks
source: own
version: 1
inputs: {question: data, history: data}
---
## user
draft: {history} / {question}
"""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        (tmp_path / "prompts" / "t" / "talk.md").write_text(PROMPT, encoding="utf-8")
        yield place


async def test_the_turns_of_a_thread_are_the_history_of_the_next_one_oldest_first(place: Place) -> None:
    graph = Graph.load(place.write("talks", TALKS))
    first = await Thread("trip", place.settings).run(graph, question="Why?")
    second = await Thread("trip", place.settings).run(graph, question="And how?")
    await Thread("other", place.settings).run(graph, question="Who?")
    prompts = [body["messages"][-1]["content"].strip() for body in place.server.bodies]
    assert prompts == [
        "draft:  / Why?",
        f"draft: User: Why?\nAssistant: {first['answer']} / And how?",
        "draft:  / Who?",
    ]
    assert Thread("trip", place.settings).turns() == [("Why?", first["answer"]), ("And how?", second["answer"])]
    kept = place.runs.list(thread="trip")
    assert [past.record.run for past in kept] == [second.run, first.run]
    assert place.runs.list(thread="trip", limit=1) == kept[:1]


async def test_a_history_that_is_given_counts_and_failed_runs_are_no_turns(place: Place) -> None:
    graph = Graph.load(place.write("talks", TALKS))
    thread = Thread("trip", place.settings)
    await thread.run(graph, question="Why?")
    place.failing = {"draft"}
    with pytest.raises(NodeError):
        await thread.run(graph, question="And how?")
    place.failing = set()
    assert [question for question, _ in thread.turns()] == ["Why?"]
    place.server.bodies.clear()
    await thread.run(graph, question="And?", history=[Message("user", "Mine")])
    assert place.server.bodies[0]["messages"][-1]["content"].strip() == "draft: User: Mine / And?"
    resumed = await place.runs.resume(place.runs.list(status="failed")[0].record.run)
    assert len(thread.turns()) == 3  # a run that goes on later is a turn of its thread
    assert resumed["answer"] in dict(thread.turns()).values()


async def test_a_history_holds_the_latest_turns_that_its_channel_takes(place: Place) -> None:
    graph = Graph.load(place.write("talks", TALKS.replace("nodes:", "channels: {history: {max: 4, bytes: 6}}\nnodes:")))
    thread = Thread("trip", place.settings)
    for question in ("One?", "Two?", "Three?"):
        await thread.run(graph, question=question)
    assert [message.content for message in thread.history(graph.spec)] == ["Two?", "draft ", "Three?", "draft "]


async def test_threads_of_the_same_name_are_apart_for_every_tenant(place: Place) -> None:
    graph = Graph.load(place.write("talks", TALKS))
    ada, bob = (place.settings.of_tenant(name) for name in ("ada", "bob"))
    await Thread("trip", ada).run(graph, question="Why?")
    assert [question for question, _ in Thread("trip", ada).turns()] == ["Why?"]
    assert Thread("trip", bob).turns() == Thread("trip", place.settings).turns() == []


async def test_a_graph_without_a_history_runs_in_a_thread_all_the_same(place: Place) -> None:
    result = await Thread("trip", place.settings).run(Graph.load(place.write("graph", STEPS)), question="Why?")
    assert Thread("trip", place.settings).turns() == [("Why?", result["answer"])]
    fork = await place.runs.fork(result.run)
    assert fork.outputs == result.outputs
    assert len(Thread("trip", place.settings).turns()) == 1  # a fork is no further turn
