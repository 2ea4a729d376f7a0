"""Graphs written as YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrag.core.errors import SpecError
from agentrag.core.located import load_yaml
from agentrag.graph.forms.yaml import to_yaml
from agentrag.graph.forms.yaml_lines import inline
from agentrag.graph.loader import build_node, load_graph, load_graph_text
from agentrag.graph.spec import GraphSpec
from tests.graph.forms.wild_specs import specs
from tests.graph.sample_nodes import Say

ROOT = Path(__file__).parents[3]
GENERATED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(text: str) -> GraphSpec:
    """The graph of a file, unchecked: what is generated here makes no sense."""
    data = load_yaml(text, "f").data
    return GraphSpec.model_validate({**data, "nodes": {name: build_node(item) for name, item in data["nodes"].items()}})


@GENERATED
@given(specs)
def test_what_is_written_loads_as_an_equal_graph_and_is_written_the_same_again(spec: GraphSpec) -> None:
    text = to_yaml(spec)
    again = read(text)
    assert again == spec
    assert [given.required for given in again.inputs.values()] == [given.required for given in spec.inputs.values()]
    assert to_yaml(again) == text
    assert to_yaml(spec, text) == text


def in_blocks(data: Any, indent: int = 0) -> str:
    """YAML without brackets, as other tools write it."""
    if not data or not isinstance(data, dict | list):
        return f" {inline(data)}\n"
    pad = "\n" + " " * indent
    if isinstance(data, dict):
        return "".join(f"{pad}{inline(key)}:{in_blocks(item, indent + 2)}".rstrip("\n") for key, item in data.items()) + "\n"
    return "".join(f"{pad}-{in_blocks(item, indent + 2)}".rstrip("\n") for item in data) + "\n"


LAYOUTS: list[Callable[[str], str]] = [
    str,
    lambda text: in_blocks(load_yaml(text, "f").data).removeprefix("\n"),
    lambda text: inline(load_yaml(text, "f").data) + "\n",
    lambda text: text.replace("\n", "\r\n"),
]


@GENERATED
@given(specs, specs, st.sampled_from(LAYOUTS))
def test_a_file_with_changes_says_the_changed_graph_and_keeps_its_comments(
    before: GraphSpec, after: GraphSpec, layout: Callable[[str], str]
) -> None:
    text = f"# kept\n{layout(to_yaml(before))}# and this\n"
    assert to_yaml(before, text) == text
    written = to_yaml(after, text)
    assert read(written) == after
    assert written.startswith("# kept\n")


TEXT = """\
# a file as people write it
agentrag:  1
name: 'kept'   # why not

inputs:
    question: str
    style: { type: str, default: full, values: [full, short] }   # how to answer
outputs:
- answer
models: {writer: default, # the slot of the writers
         gate: local}

nodes:
    search: {use: t.search,  query: "{question}", k: 3}  # three is the default
    # says what it is told
    say:
        use: t.say
        text: |
            First line,
            second line.
    ask: {use: t.ask, prompt: t/plain, model: writer}
    judge: {use: t.ask, prompt: "t/plain", model: gate}

flow:
    - search    # first
    # then
    - choose:
        - when: size(passages) == 0
          do: [ say ]
        - otherwise:
          # both
          - ask
          - judge
    - say
"""


def with_node(name: str, **settings: Any) -> Callable[[GraphSpec], GraphSpec]:
    return lambda spec: spec.model_copy(
        update={"nodes": spec.nodes | {name: type(spec.nodes[name])(**spec.nodes[name].model_dump() | settings)}}
    )


def with_parts(**parts: Any) -> Callable[[GraphSpec], GraphSpec]:
    """Replace parts of the header or the flow; mappings gain entries, and lose those that are None."""

    def change(spec: GraphSpec) -> GraphSpec:
        data = spec.model_dump(exclude_unset=True) | {"nodes": dict(spec.nodes)}
        for name, value in parts.items():
            merged = {**data.get(name, {}), **value} if isinstance(value, dict) else value
            data[name] = {key: item for key, item in merged.items() if item is not None} if isinstance(merged, dict) else merged
        return GraphSpec.model_validate(data)

    return change


CHOICE = {"choose": [{"when": "size(passages) == 0", "do": ["say"]}, {"otherwise": ["ask", "judge"]}]}
CHANGES: dict[str, tuple[Callable[[GraphSpec], GraphSpec], str, str]] = {
    "a setting": (with_node("search", k=8), "k: 3}", "k: 8}"),
    "a setting that was not written": (with_node("judge", retry=2), "model: gate}", "model: gate, retry: 2}"),
    "a setting of a node in a block": (with_node("say", retry=2), "second line.\n", "second line.\n        retry: 2\n"),
    "a text in a block": (
        with_node("say", text="{question}"),
        "|\n            First line,\n            second line.",
        '"{question}"',
    ),
    "a setting back to its default": (with_node("judge", model="writer"), ", model: gate", ""),
    "an input's default": (
        with_parts(inputs={"style": {"type": "str", "default": "short", "values": ["full", "short"]}}),
        "default: full",
        "default: short",
    ),
    "an input that gains a default": (
        with_parts(inputs={"question": {"type": "str", "default": "?"}}),
        "question: str",
        'question: {type: str, default: "?"}',
    ),
    "a binding": (with_parts(models={"gate": "default"}), "gate: local", "gate: default"),
    "a new slot": (with_parts(models={"other": "local"}), "gate: local", "gate: local, other: local"),
    "a slot that goes": (with_parts(models={"gate": None}), ", # the slot of the writers\n         gate: local", ""),
    "the name": (with_parts(name="other"), "'kept'", "other"),
    "a section that was not there": (
        with_parts(about="Says it."),
        "name: 'kept'   # why not\n",
        "name: 'kept'   # why not\nabout: Says it.\n",
    ),
    "channels": (
        with_parts(channels={"tone": {"type": "str"}}),
        "- answer\n",
        "- answer\nchannels:\n  tone: {type: str}\n",
    ),
    "an output": (with_parts(outputs=["answer", "passages"]), "- answer\n", "- answer\n- passages\n"),
    "a node that goes": (
        with_parts(nodes={"search": None}),
        '    search: {use: t.search,  query: "{question}", k: 3}  # three is the default\n',
        "",
    ),
    "a new node": (
        with_parts(nodes={"end": Say(text="{answer}")}),
        "model: gate}\n",
        'model: gate}\n    end: {use: t.say, text: "{answer}"}\n',
    ),
    "a condition": (
        with_parts(flow=["search", {"choose": [{"when": "question == ''", "do": ["say"]}, CHOICE["choose"][1]]}, "say"]),
        "size(passages) == 0",
        "\"question == ''\"",
    ),
    "a branch": (
        with_parts(flow=["search", {"choose": [{"when": "question == ''", "do": []}, *CHOICE["choose"]]}, "say"]),
        "        - when: size",
        "        - when: \"question == ''\"\n          do: []\n        - when: size",
    ),
    "a step in brackets": (
        with_parts(
            flow=["search", {"choose": [{"when": "size(passages) == 0", "do": ["ask", "say"]}, CHOICE["choose"][1]]}, "say"]
        ),
        "[ say ]",
        "[ask, say]",
    ),
    "a step in front": (with_parts(flow=["ask", "search", CHOICE, "say"]), "    - search", "    - ask\n    - search"),
    "a step inside": (with_parts(flow=["search", "ask", CHOICE, "say"]), "# first\n", "# first\n    - ask\n"),
    "a step that goes": (with_parts(flow=["search", CHOICE]), "    - say\n", ""),
    "a name that becomes a loop": (
        with_parts(flow=["search", CHOICE, {"repeat": {"do": ["say"], "at_most": 2}}]),
        "    - say\n",
        "    - repeat:\n        do: [say]\n        at_most: 2\n",
    ),
    "steps that all go": (
        with_parts(flow=["search", {"choose": [CHOICE["choose"][0], {"otherwise": []}]}, "say"]),
        "          # both\n          - ask\n          - judge",
        "          # both\n            []",
    ),
    "brackets that need lines": (
        with_parts(
            flow=["search", {"choose": [{"when": "size(passages) == 0", "do": ["say", CHOICE]}, CHOICE["choose"][1]]}, "say"]
        ),
        " [ say ]",
        '\n            - say\n            - choose:\n                - when: "size(passages) == 0"\n'
        "                  do: [say]\n                - otherwise: [ask, judge]",
    ),
}


@pytest.mark.parametrize(("change", "old", "new"), CHANGES.values(), ids=CHANGES.keys())
def test_only_what_differs_is_written_anew(change: Callable[[GraphSpec], GraphSpec], old: str, new: str) -> None:
    before = read(TEXT)
    after = change(before)
    assert TEXT.count(old) == 1
    assert after != before
    written = to_yaml(after, TEXT)
    assert written == TEXT.replace(old, new)
    assert read(written) == after


WRITTEN = """\
agentrag: 1
name: written
about: Every step there is; as people write it.

inputs:
  question: str
  parts: {type: "list[str]", default: []}
  style: {type: str, default: full, values: [full, short]}
outputs: [answer]

channels:
  answers: {type: "list[str]"}
  decision: {type: str}
  passages: {max: 20}

models: {writer: default}

nodes:
  search: {use: t.search, query: "{question} {answer?}", k: 5, timeout: 60.0, out: {passages: evidence}}
  say: {use: t.say, text: 'He said "{question}"'}

flow:
  - search
  - choose:
      - when: "size(passages) == 0"
        do: [say]
      - when: "style == 'short'"
        do:
          - say
          - return: {}
      - otherwise:
        - repeat:
            do: [search, say]
            until: "stable(answer)"
            at_most: 2
            on_exhausted:
              - say
              - return: {answer: style}
            best_by: "double(size(passages))"
  - parallel:
      branches:
        lexical: [search]
        parallel:
          - ask_human: {question: "Well?", choices: ["yes", "no", 2 days], out: decision}
        branches: []
      join: {passages: rrf}
      wait: {quorum: 2}
      on_error: collect
  - each:
      in: parts
      as: part
      do: [say]
      collect: {answer: answers}
      at_most: 6
  - graph: {use: ./other.yaml, in: {question: part}, out: {answer: answer}}
"""


def test_a_graph_is_written_as_people_write_it() -> None:
    assert to_yaml(read(WRITTEN)) == WRITTEN.replace("2 days", '"2 days"').replace("./other.yaml", '"./other.yaml"')


FILES = [*sorted((ROOT / "graphs").glob("*.yaml")), *sorted((ROOT / "tests" / "graphs").glob("valid-*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_graphs_and_cases_come_back_as_they_were(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    spec = load_graph(file)
    assert to_yaml(spec, text) == text
    written = to_yaml(spec)
    again = load_graph_text(written, str(file), spec.prompts)
    assert again == spec
    assert to_yaml(again) == written


def test_another_order_of_nodes_is_no_change() -> None:
    before = read(TEXT)
    after = before.model_copy(update={"nodes": dict(reversed(before.nodes.items()))})
    assert to_yaml(after, TEXT) == TEXT


def test_a_file_whose_places_are_not_found_is_written_whole() -> None:
    text = TEXT.replace("use: t.ask, prompt: t/plain, model: writer", "use: t.write, declared: [], written: {a: {true: b}}")
    before = read(text)
    after = with_node("ask", written={"a": {True: "c"}})(before)
    assert to_yaml(before, text) == text
    assert to_yaml(after, text) == to_yaml(after)


class Unregistered(Say):
    """A node that no file can name."""


def test_nodes_that_no_file_can_name_are_told_all_at_once() -> None:
    nodes = {"one": Unregistered(text="a"), "two": Say(text="b"), "three": Unregistered(text="c")}
    spec = read(TEXT).model_copy(update={"nodes": nodes})
    what = "its type, Unregistered, has no registered name: it exists in Python only, and no file can hold it"
    with pytest.raises(SpecError) as caught:
        to_yaml(spec)
    assert str(caught.value).splitlines() == [f"graph 'kept' nodes.one: {what}", f"graph 'kept' nodes.three: {what}"]


@pytest.mark.parametrize("text", ["- 1", "name: x", "agentrag: 1\nnodes: {a: 1}", "a: [", "nodes: {a: {use: t.nope}}"])
def test_a_text_that_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        to_yaml(read(TEXT), text)
