"""What a person may reply, and what is said of a reply that is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentrag.core.errors import Question
from agentrag.graph.values.replies import accepted


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.mark.parametrize(
    ("question", "reply", "taken"),
    [
        (Question("?"), " as it is ", " as it is "),
        (Question("?", ("a", "b")), "b", "b"),
        (Question("?", schema={"type": "integer"}), 3.0, 3),
        (Question("?", schema={"type": "integer"}), -(2**63), -(2**63)),
        (Question("?", schema={"type": "number"}), 3, 3.0),
        (Question("?", schema={"type": "boolean"}), False, False),
        (Question("?", schema={"type": "string"}), "", ""),
        (Question("?", schema={"type": "array", "items": {"type": "string"}}, bytes=2), ["é", "a"], ["é", "a"]),
        (Question("?", schema=FORM, bytes=14), {"name": "né"}, {"name": "né"}),
    ],
)
def test_a_reply_that_fits_is_taken_in_the_type_of_its_channel(question: Question, reply: Any, taken: Any) -> None:
    found = accepted(question, reply)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("question", "reply", "said"),
    [
        (Question("?"), "  ", "the answer is empty."),
        (Question("?"), 7, "a text is expected, not 7."),
        (Question("?", bytes=3), "four", r"it has 4 bytes; at most 3 are allowed"),
        (Question("?", bytes=9), "\udcff", "bytes that are no text"),
        (Question("?", ("approve", "refuse")), "approv", "Unknown answer 'approv'. Did you mean 'approve'?"),
        (Question("?", ("approve",)), ["approve"], "Unknown answer"),
        (Question("?", schema={"type": "integer"}), True, "True is not of type 'integer'. Expected is JSON of the schema"),
        (Question("?", schema={"type": "integer", "minimum": 1}), 0, '"minimum": 1}'),
        (Question("?", schema={"type": "number"}), float("nan"), "nan is no JSON data"),
        (Question("?", schema={"type": "number"}), 10**400, "is too large"),
        (Question("?", schema={"type": "integer"}), 10**30, "is too large"),
        (Question("?", schema={"type": "integer"}), 2**63, "is too large"),
        (Question("?", schema={"type": "object"}), {"a": [{"b": 10**400}]}, "is too large"),
        (Question("?", schema={"type": "object"}), {"a": [2**70, 1]}, "is too large"),
        (Question("?", schema={"type": "object"}), _nested(100_000), "is nested too deeply"),
        (Question("?", schema={"type": "string", "format": "date"}), "soon", "'soon' is not a 'date'"),
        (Question("?", schema=FORM), {"nam": "Ann"}, "'name' is a required property"),
        (Question("?", schema=FORM), {"name": 1}, "$.name: 1 is not of type 'string'"),
        (Question("?", schema=FORM), {"name": {1}}, "is no JSON data"),
        (Question("?", schema=FORM, bytes=14), {"name": "néé"}, "it has 16 bytes; at most 14 are allowed"),
        (Question("?", schema={"type": "array", "items": {"type": "string"}}, bytes=2), ["abc"], "it has 3 bytes"),
    ],
)
def test_a_reply_that_does_not_fit_is_refused_with_what_is_expected(question: Question, reply: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        accepted(question, reply)
