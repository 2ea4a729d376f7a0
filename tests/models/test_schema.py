from __future__ import annotations

from typing import Any

import pytest

from agentrag.models.schema import fault_of, strict

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CLOSED, True),
        ({**CLOSED, "required": []}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "array", "items": CLOSED}, True),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({**CLOSED, "properties": {"a": {"type": "object", "properties": {"b": {}}}}}, False),
        ({"anyOf": [CLOSED, {"type": "object"}]}, False),
        ({"type": "string", "enum": ["yes", "no"]}, True),
    ],
)
def test_strict_decoding_is_asked_for_where_the_schema_allows_it(schema: dict[str, Any], expected: bool) -> None:
    assert strict(schema) is expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": "x"}', None),
        ('{"a": 1}', "$.a: 1 is not of type 'string'"),
        ("{}", "$: 'a' is a required property"),
        ("hello", "not JSON"),
    ],
)
def test_the_first_fault_of_a_reply_is_told(text: str, says: str | None) -> None:
    fault = fault_of(text, CLOSED)
    assert fault is None if says is None else says in (fault or "")


def test_a_schema_that_is_wrong_itself_is_not_blamed_on_the_model() -> None:
    with pytest.raises(ValueError, match="JSON Schema is wrong"):
        fault_of("{}", {"type": "strin"})
