from __future__ import annotations

import json
from pathlib import Path

from agentrag.graph.forms.schema import built_in, json_schema, schema_text
from tests.cli.conftest import Command


def test_schema_prints_the_schema_of_the_node_types_that_are_installed(command: Command) -> None:
    done = command("schema")
    assert (done.code, done.err) == (0, "")
    assert "retrieve" in json.loads(done.out)["$defs"]["AnyNode"]["properties"]["use"]["enum"]


def test_schema_writes_a_file_of_what_comes_with_the_package(command: Command, tmp_path: Path) -> None:
    done = command("schema", "--built-in", "-o", "schema.json")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == schema_text(json_schema(built_in()))


def test_schema_says_where_it_cannot_write(command: Command) -> None:
    done = command("schema", "-o", "nowhere/schema.json")
    assert (done.code, done.out) == (1, "")
    assert "nowhere/schema.json" in done.err
    assert "Traceback" not in done.err
