"""Graphs described in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agentrag.core.errors import SpecError
from agentrag.core.node import Node
from agentrag.graph.forms.python import (
    FlowStep,
    ask_human,
    choose,
    each,
    parallel,
    repeat,
    return_,
    seq,
    spec_from_python,
    subgraph,
)
from agentrag.graph.forms.yaml import to_yaml
from agentrag.graph.loader import load_graph_text
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import SubGraph
from tests.graph.sample_nodes import Add, Ask, Length, Say, Search

YAML = """\
agentrag: 1
name: both
about: Every step.
inputs: {question: str, style: {type: str, default: full, values: [full, short]}}
outputs: [answer]
channels: {passages: {max: 7}, decision: {type: str}, draft: {type: str}}
models: {}
nodes:
  add: {use: t.add, items: [a, b]}
  search: {use: t.search, k: 2}
  say: {use: t.say, text: "{question}", timeout: 5, retry: 1}
  draft: {use: t.say, text: "{question}", out: {answer: draft}}
  weigh: {use: t.length}
flow:
  - search
  - choose:
      - when: "size(passages) == 0"
        do: [say]
      - when: "style == 'short'"
        do:
          - choose:
              - when: "question == ''"
                do: [say]
              - otherwise: []
          - say
          - return: {}
      - otherwise: [say]
  - repeat: {do: [say, weigh], until: "stable(answer)", at_most: 3, best_by: support}
  - repeat: {do: [say], until: "answer == 'x'", at_most: 2, on_exhausted: [draft, {return: {answer: draft}}]}
  - parallel: {branches: {one: [say], two: [draft]}}
  - parallel: {branches: {one: [say], two: [say], three: [search]}, join: {answer: vote}, wait: {quorum: 2}, on_error: collect}
  - add
  - each: {in: items, as: item, do: [say], collect: {answer: answers}, at_most: 3, concurrency: 2, on_error: collect}
  - ask_human: {question: "Send {answer}?", choices: [approve, refuse], out: decision}
  - ask_human: {question: "How sure?", schema: {type: number, maximum: 1}, out: sure}
  - graph: {use: ask, in: {question: question}, out: {answer: answer}}
"""
HEADER: dict[str, Any] = {
    "name": "both",
    "about": "Every step.",
    "inputs": {"question": "str", "style": {"type": "str", "default": "full", "values": ["full", "short"]}},
    "outputs": ["answer"],
}
NODES: dict[str, Node] = {
    "add": Add(items=["a", "b"]),
    "search": Search(k=2),
    "say": Say(text="{question}", timeout=5, retry=1),
    "draft": Say(text="{question}", out={"answer": "draft"}),
    "weigh": Length(),
}
CHANNELS: dict[str, Any] = {"passages": {"max": 7}, "decision": {"type": "str"}, "draft": {"type": "str"}}
FLOW = seq(
    "search",
    choose(
        {
            "size(passages) == 0": ["say"],
            "style == 'short'": [choose({"question == ''": ["say"]}, otherwise=[]), "say", return_()],
        },
        otherwise=["say"],
    ),
    [
        repeat(["say", "weigh"], until="stable(answer)", at_most=3, best_by="support"),
        repeat(["say"], until="answer == 'x'", at_most=2, on_exhausted=["draft", return_({"answer": "draft"})]),
    ],
    parallel({"one": ["say"], "two": ["draft"]}),
    parallel(
        {"one": ["say"], "two": ["say"], "three": ["search"]},
        join={"answer": "vote"},
        wait={"quorum": 2},
        on_error="collect",
    ),
    "add",
    each(["say"], in_="items", as_="item", collect={"answer": "answers"}, at_most=3, concurrency=2, on_error="collect"),
    ask_human("Send {answer}?", choices=["approve", "refuse"], out="decision"),
    ask_human("How sure?", schema={"type": "number", "maximum": 1}, out="sure"),
    subgraph("ask", in_={"question": "question"}, out={"answer": "answer"}),
)


def test_python_and_yaml_build_the_same_graph() -> None:
    from_python = spec_from_python(HEADER, NODES, FLOW, {}, CHANNELS)
    from_yaml = load_graph_text(YAML, "f", from_python.prompts)
    assert from_python == from_yaml
    assert to_yaml(from_python) == to_yaml(from_yaml)


SMALL: dict[str, Any] = {"name": "both", "inputs": {"question": "str"}, "outputs": ["answer"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"flow": ["serach", "search", "say"]}, ["flow.0: Unknown node 'serach'. Did you mean 'search'? Known: say, search."]),
        ({"flow": ["say"]}, ["nodes.search: no step of the flow runs node 'search'"]),
        ({"flow": ["search", 7]}, ["flow.1: 7: a step is a node name or one of: ask_human: {...}, choose: [...]"]),
        (
            {"flow": ["search", choose({"size(pasages) > 1": ["say"]}, otherwise=["say"])]},
            ["flow.1.choose.0.when: 'size(pasages) > 1': Unknown name 'pasages'. Did you mean 'passages'?"],
        ),
        (
            {"nodes": {"search": Search(), "say": {"use": "t.say"}}},
            ["nodes.say: {'use': 't.say'}: should be an instance of Node"],
        ),
        (
            {"nodes": {"search": Search(), "say": Ask(prompt="t/nope", model="reader")}},
            ["nodes.say.model: Unknown model slot 'reader'.", "nodes.say.prompt: Unknown prompt 't/nope'."],
        ),
        (
            {"outputs": ["anwser"], "name": "Both"},
            ["name: 'Both': a name begins with a lower-case letter", "outputs.0: Unknown channel 'anwser'."],
        ),
    ],
    ids=["unknown node", "unused node", "no step", "condition", "no node", "references", "header"],
)
def test_errors_of_a_graph_in_python_name_its_path(change: dict[str, Any], said: list[str]) -> None:
    nodes = {"search": Search(k=2), "say": Say(text="{question}")}
    given = {"nodes": nodes, "flow": ["search", "say"], **SMALL, **change}
    header = {name: given[name] for name in SMALL}
    with pytest.raises(SpecError) as caught:
        spec_from_python(header, given["nodes"], given["flow"], {}, {})
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert line.startswith(f"graph '{header['name']}' {part}")


class Unregistered(Say):
    """A node that only this module knows."""


def test_a_node_type_needs_no_registration_in_python() -> None:
    spec = spec_from_python(SMALL, {"say": Unregistered(text="a")}, ["say"], {}, {})
    assert spec.nodes["say"].writes() == {"answer"}


NOT_STEPS: Any = [7]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: repeat("say", at_most=2), "repeat.do: 'say': should be a list"),
        (lambda: repeat(["say"], at_most=0), "repeat.at_most: 0: should be greater than"),
        (
            lambda: repeat(["say"], at_most=2, on_exhausted="retry"),
            "repeat.on_exhausted: 'retry': should be 'return_best'",
        ),
        (lambda: choose({"a": NOT_STEPS}, otherwise=[]), "choose.0.do.0: 7: a step is a node name or one of: "),
        (
            lambda: parallel({"Lexical": [], "b": []}),
            "parallel.branches.Lexical: 'Lexical': a name begins with a lower-case letter",
        ),
        (
            lambda: parallel({"a": [], "b": []}, wait={"quorum": 0}),
            "parallel.wait.quorum: 0: should be greater than",
        ),
        (lambda: each(["say"], in_="Items", as_="item", collect={}, at_most=2), "each.in: 'Items': a channel is named by"),
        (lambda: ask_human("{", out="decision"), "ask_human.question: '{': lone '{' at character 0"),
        (lambda: subgraph("ask", out={"answer": "A"}), "graph.out.answer: 'A': a channel is named by"),
        (lambda: return_({"answer": "A"}), "return.answer: 'A': a channel is named by"),
    ],
)
def test_a_step_of_the_wrong_form_is_refused_where_it_is_made(make: Callable[[], FlowStep], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert str(caught.value).startswith(f"step {said}")


@dataclass(frozen=True)
class Given:
    """A graph as the façade holds it."""

    spec: GraphSpec


def said(text: str, name: str = "inner") -> Given:
    return Given(spec_from_python(SMALL | {"name": name}, {"say": Say(text=text)}, ["say"], {}, {}))


def test_a_graph_made_in_python_is_a_step_of_another_however_deep_it_stands() -> None:
    inner = said("{question}!")
    step = subgraph(inner, in_={"question": "question"}, out={"answer": "draft"})
    nodes = {"say": Say(text="{draft}")}
    flow = seq(repeat([choose({"question == ''": [step]}, otherwise=[step])], at_most=2), step, "say")
    spec = spec_from_python(SMALL, nodes, flow, {}, {"draft": {"type": "str"}})
    assert spec.graphs == {"inner": inner.spec}
    assert spec.flow[1] == SubGraph.model_validate(step.model_dump())
    assert "use: inner" in to_yaml(spec)


def test_two_graphs_of_one_name_are_refused() -> None:
    steps = [subgraph(said(text), in_={"question": "question"}, out={"answer": "answer"}) for text in ("a", "b")]
    with pytest.raises(SpecError, match=r"flow.1.graph.use: two graphs are named 'inner'; give one of them another name"):
        spec_from_python(SMALL, {}, steps, {}, {})


def test_a_graph_that_is_not_found_is_told_by_the_step_that_names_it() -> None:
    with pytest.raises(SpecError, match=r"graph 'both' flow.0.graph.use: Unknown graph 'asq'. Did you mean 'ask'?"):
        spec_from_python(SMALL, {}, [subgraph("asq", out={"answer": "answer"})], {}, {})
