"""Drawing a graph."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings

from agentrag.graph.forms.draw import mermaid
from agentrag.graph.forms.python import (
    FlowStep,
    ask_human,
    choose,
    each,
    parallel,
    repeat,
    return_,
    spec_from_python,
    subgraph,
)
from agentrag.graph.loader import load_graph_text
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import walk
from tests.graph.forms.wild_specs import specs
from tests.graph.sample_nodes import PROMPTS, Add, Length, Say

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
    s2{"choose"}
    s3["say (t.say)"]
    s4{"choose"}
    s5["ask (t.ask)<br/>model: writer"]
    s6["say (t.say)"]
    s7["say (t.say)"]
    finish(["answer"])
    start --> s1
    s1 --> s2
    s2 -->|"size(passages) == 0"| s3
    s2 -->|"style == 'short'"| s4
    s4 -->|"size(passages) #lt; 2"| s5
    s5 --> s6
    s4 -->|"otherwise"| s6
    s2 -->|"otherwise"| s7
    s3 --> finish
    s6 --> finish
    s7 --> finish
"""


def test_a_graph_is_drawn_with_its_types_slots_and_conditions() -> None:
    assert mermaid(load_graph_text(TEXT, "f", PROMPTS)) == DRAWN


def drawn(*flow: FlowStep) -> str:
    """The drawing of steps, without its first and last shape."""
    nodes = {"add": Add(items=["a"]), "say": Say(text="a"), "weigh": Length()}
    used = {name: nodes[name] for _, name in walk(flow) if isinstance(name, str)}
    header = {"name": "drawn", "inputs": {"question": "str"}, "outputs": ["answer"]}
    spec = spec_from_python(header, used, flow, {}, {"decision": {"type": "str"}})
    lines = mermaid(spec).splitlines()
    ends = ["flowchart TD", '    start(["question"])', '    finish(["answer"])']
    assert [line for line in lines if line in ends] == ends
    return "\n".join(line.removeprefix("    ") for line in lines if line not in ends)


DRAWINGS: dict[str, tuple[list[FlowStep], str]] = {
    "loop": (
        [repeat(["say", "weigh"], until="support > 2.0", at_most=3, best_by="support")],
        """\
subgraph f1["repeat<br/>best by support"]
    s1["say (t.say)"]
    s2["weigh (t.length)"]
end
start --> s1
s1 --> s2
s2 -->|"until support #gt; 2.0<br/>at most 3 rounds"| s1
s2 --> finish""",
    ),
    "loop in a loop": (
        [repeat([repeat(["say"], at_most=2), "say"], at_most=3)],
        """\
subgraph f1["repeat"]
    subgraph f2["repeat"]
        s1["say (t.say)"]
    end
    s2["say (t.say)"]
end
start --> s1
s1 -->|"at most 2 rounds"| s1
s1 --> s2
s2 -->|"at most 3 rounds"| s1
s2 --> finish""",
    ),
    "loop that ends in a choice": (
        [
            repeat(
                ["say", choose({"answer == 'x'": [return_()]}, otherwise=[])],
                at_most=3,
                until="answer == 'y'",
                on_exhausted="fail",
            )
        ],
        """\
subgraph f1["repeat"]
    s1["say (t.say)"]
    s2{"choose"}
    s3("return")
    s4(("round"))
end
start --> s1
s1 --> s2
s2 -->|"answer == 'x'"| s3
s3 --> finish
s2 -->|"otherwise"| s4
s4 -->|"until answer == 'y'<br/>at most 3 rounds, then the run fails"| s1
s4 --> finish""",
    ),
    "loop with steps at its end": (
        ["say", repeat(["say"], at_most=3, until="answer == 'y'", on_exhausted=["say"])],
        """\
s1["say (t.say)"]
subgraph f1["repeat"]
    s2["say (t.say)"]
end
s3["say (t.say)"]
start --> s1
s1 --> s2
s2 -->|"until answer == 'y'<br/>at most 3 rounds"| s2
s2 -->|"at most 3 rounds"| s3
s2 -->|"answer == 'y'"| finish
s3 --> finish""",
    ),
    "branches": (
        [parallel({"one": ["say"], "two": ["say"]}, join={"answer": "vote"}, wait="first", on_error="collect")],
        """\
s1[/"parallel"\\]
s2["say (t.say)"]
s3["say (t.say)"]
s4[\\"join<br/>answer: vote<br/>wait for 1 of 2<br/>failed branches are left out"/]
start --> s1
s1 -->|"one"| s2
s1 -->|"two"| s3
s2 --> s4
s3 --> s4
s4 --> finish""",
    ),
    "items": (
        ["add", each(["say"], in_="items", as_="item", collect={"answer": "answers"}, at_most=6, on_error="collect"), "say"],
        """\
s1["add (t.add)"]
subgraph f1["for each item in items (at most 6, 4 at once)<br/>answer to answers<br/>failed items are left out"]
    s2["say (t.say)"]
end
s3["say (t.say)"]
start --> s1
s1 --> s2
s2 --> s3
s3 --> finish""",
    ),
    "another graph, a person, the end": (
        [
            subgraph("ask", in_={"question": "question"}, out={"answer": "answer"}),
            ask_human("Send {answer}?", choices=["approve", "refuse"], out="decision"),
            ask_human("And why?", out="decision"),
            return_({"answer": "decision"}),
        ],
        """\
s1[["graph ask"]]
s2[/"ask: Send {answer}?<br/>approve, refuse"/]
s3[/"ask: And why?"/]
s4("return<br/>answer from decision")
start --> s1
s1 --> s2
s2 --> s3
s3 --> s4
s4 --> finish""",
    ),
}


@pytest.mark.parametrize(("flow", "expected"), DRAWINGS.values(), ids=DRAWINGS.keys())
def test_every_step_has_its_shape(flow: list[FlowStep], expected: str) -> None:
    assert drawn(*flow) == expected


LABEL = r'"(?:[^"<>&`\n]|<br/>)+"'
SHAPE = rf"\w+(?:\[{LABEL}\]|\(\[{LABEL}\]\)|\({LABEL}\)|\(\({LABEL}\)\)|\{{{LABEL}\}}|\[\[{LABEL}\]\]|\[[/\\]{LABEL}[/\\]\])"
LINE = re.compile(rf"flowchart TD| +{SHAPE}| +subgraph f\d+\[{LABEL}\]| +end|    \w+ -->(?:\|{LABEL}\|)? \w+")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs)
def test_no_text_of_a_graph_can_end_a_label_or_become_markup(spec: GraphSpec) -> None:
    names = {step for _, step in walk(spec.flow) if isinstance(step, str)}
    nodes = {name: spec.nodes.get(name, Say(text="a")) for name in names}
    for line in mermaid(spec.model_copy(update={"nodes": nodes})).split("\n")[:-1]:
        assert LINE.fullmatch(line)


def test_signs_of_markup_are_written_as_entities() -> None:
    evil = 'question == "\\"] --> x[#quot;<b>&`"'
    last = drawn("say", choose({evil: []}, otherwise=[])).splitlines()[-2]
    assert last == 's2 -->|"question == #quot;\\#quot;] --#gt; x[#35;quot;#lt;b#gt;#amp;#96;#quot;"| finish'
