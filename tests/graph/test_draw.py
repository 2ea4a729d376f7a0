"""Drawing a graph."""

from __future__ import annotations

import re

import pytest

from agentrag.graph.draw import mermaid
from agentrag.graph.loader import load_graph_text
from agentrag.graph.python import choose, spec_from_python
from tests.graph.sample_nodes import PROMPTS, Say

TEXT = """\
agentrag: 1
name: drawn
inputs: {question: str, style: {type: str, default: full}}
outputs: [answer]
models: {writer: default}
nodes:
  search: {use: t.search}
  ask: {use: t.ask, prompt: t/plain}
  say: {use: t.say, text: "{question}"}
flow:
  - search
  - choose:
      - when: "size(passages) == 0"
        do: [say]
      - when: "style == 'short'"
        do:
          - choose:
              - when: "size(passages) < 2"
                do: [ask]
              - otherwise: []
          - say
      - otherwise: [say]
"""
DRAWN = """\
flowchart TD
    start(["question, style"])
    s1["search (t.search)"]
    start --> s1
    s2{"choose"}
    s1 --> s2
    s3["say (t.say)"]
    s2 -->|"size(passages) == 0"| s3
    s4{"choose"}
    s2 -->|"style == 'short'"| s4
    s5["ask (t.ask)<br/>model: writer"]
    s4 -->|"size(passages) #lt; 2"| s5
    s6["say (t.say)"]
    s5 --> s6
    s4 -->|"otherwise"| s6
    s7["say (t.say)"]
    s2 -->|"otherwise"| s7
    finish(["answer"])
    s3 --> finish
    s6 --> finish
    s7 --> finish
"""


def test_a_graph_is_drawn_with_its_types_slots_and_conditions() -> None:
    assert mermaid(load_graph_text(TEXT, "f", PROMPTS)) == DRAWN


@pytest.mark.parametrize("evil", ['question == "\\"] --> x[\\"#quot;<b>&`"', "question == '|\"| click s1 href'"])
def test_no_text_of_a_graph_can_end_a_label(evil: str) -> None:
    header = {"name": "evil", "inputs": {"question": "str"}, "outputs": ["answer"]}
    spec = spec_from_python(header, {"say": Say(text="a")}, ["say", choose({evil: []}, otherwise=[])], {}, {})
    for line in mermaid(spec).splitlines():
        label = re.search(r'"(.*)"', line)
        if label:
            assert not re.search(r'["<>&`]', label[1].replace("<br/>", ""))
