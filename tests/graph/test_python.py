"""Graphs described in Python."""

from __future__ import annotations

from typing import Any

import pytest

from agentrag.core.errors import SpecError
from agentrag.core.node import Node
from agentrag.graph.loader import load_graph_text
from agentrag.graph.python import FlowStep, choose, spec_from_python
from tests.graph.sample_nodes import Ask, Say, Search

YAML = """\
agentrag: 1
name: both
inputs: {question: str, style: {type: str, default: full, values: [full, short]}}
outputs: [answer]
channels: {passages: {max: 7}}
models: {}
nodes:
  search: {use: t.search, k: 2}
  say: {use: t.say, text: "{question}"}
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
      - otherwise: [say]
"""
HEADER: dict[str, Any] = {
    "name": "both",
    "inputs": {"question": "str", "style": {"type": "str", "default": "full", "values": ["full", "short"]}},
    "outputs": ["answer"],
}
NODES: dict[str, Node] = {"search": Search(k=2), "say": Say(text="{question}")}
FLOW: list[FlowStep] = [
    "search",
    choose(
        {
            "size(passages) == 0": ["say"],
            "style == 'short'": [choose({"question == ''": ["say"]}, otherwise=[]), "say"],
        },
        otherwise=["say"],
    ),
]


def test_python_and_yaml_build_the_same_graph() -> None:
    from_python = spec_from_python(HEADER, NODES, FLOW, {}, {"passages": {"max": 7}})
    from_yaml = load_graph_text(YAML, "f")
    assert from_python.model_dump() == from_yaml.model_dump()
    assert from_python.nodes == from_yaml.nodes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"flow": ["serach", "search", "say"]}, ["flow.0: Unknown node 'serach'. Did you mean 'search'? Known: say, search."]),
        ({"flow": ["say"]}, ["nodes.search: no step of the flow runs node 'search'"]),
        ({"flow": ["search", 7]}, ["flow.1: 7: a step is a node name or `choose: [...]`"]),
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
    given = {"nodes": NODES, "flow": FLOW, **HEADER, **change}
    header = {name: given[name] for name in HEADER}
    with pytest.raises(SpecError) as caught:
        spec_from_python(header, given["nodes"], given["flow"], {}, {})
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert line.startswith(f"graph '{header['name']}' {part}")


class Unregistered(Say):
    """A node that only this module knows."""


def test_a_node_type_needs_no_registration_in_python() -> None:
    spec = spec_from_python(HEADER, {"say": Unregistered(text="a")}, ["say"], {}, {})
    assert spec.nodes["say"].writes() == {"answer"}
