"""The JSON Schema of graph files."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import Field

from agentrag.core.located import load_yaml
from agentrag.core.node import Node
from agentrag.graph.forms.schema import built_in, json_schema, schema_text
from agentrag.graph.forms.yaml import to_yaml
from agentrag.graph.spec import GraphSpec
from tests.graph.forms.wild_specs import specs

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "graphs").glob("*.yaml"))
CASES = sorted((ROOT / "tests" / "graphs").glob("*.yaml"))
STRUCTURAL = re.compile(
    r"Unknown (key|step|type) |is missing|\.use: Unknown node |: should (have|be (?!.*, but is ))|is not a node"
    r"|named by lower-case|name begins with|a graph file holds|this runtime knows version|truth value|a step is a node name"
)
SENSE = re.compile(r" degrade\.\d+\.set\.")
"""What a rung sets: whether that is right depends on the node, which stands elsewhere in the file."""


def told(file: Path) -> str:
    """What loading says of a case."""
    return "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#! "))


def of_form(file: Path) -> bool:
    """Whether loading says of a case that its form is wrong."""
    return any(STRUCTURAL.search(line) and not SENSE.search(line) for line in told(file).splitlines())


@cache
def with_sample_nodes() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def faults(text: str, schema: dict[str, Any] | None = None) -> list[str]:
    """What the schema says of a file, as "path: message"."""
    validator = jsonschema.Draft202012Validator(schema) if schema else with_sample_nodes()
    found = validator.iter_errors(load_yaml(text, "f").data)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = (ROOT / "graphs" / "schema.json").read_text(encoding="utf-8")
    assert shipped == schema_text(json_schema(built_in())), "run: agentrag schema --built-in -o graphs/schema.json"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_shipped_schema_accepts_every_shipped_graph(file: Path) -> None:
    shipped = json.loads((ROOT / "graphs" / "schema.json").read_text(encoding="utf-8"))
    assert faults(file.read_text(encoding="utf-8"), shipped) == []


@pytest.mark.parametrize("file", [file for file in CASES if not told(file)], ids=lambda file: file.stem)
def test_every_case_that_is_right_is_accepted(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", [file for file in CASES if of_form(file)], ids=lambda file: file.stem)
def test_every_case_of_a_wrong_form_is_refused(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) != []


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs)
def test_whatever_a_graph_can_be_written_as_is_accepted(spec: GraphSpec) -> None:
    assert faults(to_yaml(spec)) == []


SMALL = """\
agentrag: 1
name: small
inputs: {question: str}
outputs: [answer]
nodes:
  say: {use: t.say, text: "{question}"}
  search: {use: t.search, k: 3}
flow:
  - say
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("k: 3", "k: ten", "nodes.search.k: 'ten' is not of type 'integer'"),
        ("k: 3", "k: 11", "nodes.search.k: 11 is greater than the maximum of 10"),
        ("k: 3", "kk: 3", "nodes.search: Additional properties are not allowed ('kk' was unexpected)"),
        (', text: "{question}"', "", "nodes.say: 'text' is a required property"),
        ("use: t.search", "use: t.seach", "nodes.search.use: 't.seach' is not one of ['abstain'"),
        ("use: t.search", "used: t.search", "nodes.search: 'use' is a required property"),
        ("question: str", "question: text", "inputs.question: 'text' is not one of ['str'"),
        (
            "question: str",
            "question: {type: str, defualt: a}",
            "inputs.question: Additional properties are not",
        ),
        ("question: str", '"no": str', "inputs: 'no' should not be valid under"),
        ("- say", "- 7", "flow.0: 7 is not of type 'object'"),
        ("- say", "- Say", "flow.0: 'Say' does not match"),
        ("- say", "- chose: []", "flow.0: Additional properties are not allowed ('chose' was unexpected)"),
        ("- say", "- choose: [{do: [say]}]", "flow.0.choose.0: 'when' is a required property"),
        ("- say", "- choose: [{otherwise: say}]", "flow.0.choose.0.otherwise: 'say' is not of type 'array'"),
        (
            "- say",
            "- repeat: {do: [{repeat: {do: []}}], at_most: 2}",
            "flow.0.repeat.do.0.repeat: 'at_most' is a required",
        ),
        ("- say", "- repeat: {do: [], at_most: 2, on_exhausted: stop}", "flow.0.repeat.on_exhausted: 'stop' is not one of"),
        (
            "- say",
            "- repeat: {do: [], at_most: 2, on_exhausted: [7]}",
            "flow.0.repeat.on_exhausted.0: 7 is not of type",
        ),
        ("- say", "- parallel: {branches: {a: []}}", "flow.0.parallel.branches: {'a': []} does not have enough properties"),
        ("- say", "- parallel: {branches: {a: [], b: []}, wait: {quorum: 0}}", "flow.0.parallel.wait.quorum: 0 is less than"),
        ("flow:", "degrade: [{set: {k: 3}}]\nflow:", "degrade.0.set: 'k' does not match"),
        ("agentrag: 1", "agentrag: 2", "agentrag: 1 was expected"),
    ],
)
def test_what_an_editor_shows_names_the_place_and_what_is_wrong_there(old: str, new: str, said: str) -> None:
    found = faults(SMALL.replace(old, new))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_settings_and_keys_are_explained() -> None:
    schema = json_schema(built_in())
    retrieve = schema["$defs"]["node.Retrieve"]
    assert retrieve["description"].startswith("Find the passages nearest to a query.")
    assert retrieve["properties"]["k"]["description"] == "at most this many passages"
    assert list(retrieve["properties"])[:2] == ["use", "collection"]
    assert list(retrieve["properties"])[-3:] == ["timeout", "retry", "out"]
    assert schema["$defs"]["RepeatSpec"]["properties"]["at_most"]["description"] == "Most rounds."
    assert schema["$defs"]["EachSpec"]["properties"]["in"]["description"] == "The list channel."
    assert all(said["description"] for said in schema["properties"].values())
    assert schema["properties"].keys() == {name for name, info in GraphSpec.model_fields.items() if not info.exclude}


def test_built_in_are_the_types_of_the_package_alone() -> None:
    assert {"retrieve", "generate"} <= built_in().keys()
    assert "t.say" not in built_in()


class Choose(Node):
    """A node type whose class has the name of a step's."""

    deep: dict[str, int] = Field(default_factory=dict)


def test_classes_of_node_types_may_be_named_as_parts_of_the_language_are() -> None:
    schema = json_schema({"mine": Choose})
    text = SMALL.replace('use: t.say, text: "{question}"', "use: mine, deep: {a: 1}").replace(
        "  search: {use: t.search, k: 3}\n", ""
    )
    assert faults(text, schema) == []
    assert faults(text.replace("a: 1", "a: b"), schema) == ["nodes.say.deep.a: 'b' is not of type 'integer'"]
