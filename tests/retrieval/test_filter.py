from __future__ import annotations

from typing import Any

import pytest

from agentrag.core.errors import StoreError
from agentrag.retrieval.filter import matcher, normalised


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"lang": {"$equals": "en"}}, r"lang: Unknown operator '\$equals'"),
        ({"$not": {"a": 1}}, r"Unknown operator '\$not'"),
        ({"year": {"$gt": "2020"}}, r"year: \$gt takes a number, not '2020'"),
        ({"year": {"$gt": True}}, r"\$gt takes a number"),
        ({"lang": {"$in": []}}, r"\$in takes a list"),
        ({"lang": {"$in": "en"}}, r"\$in takes a list"),
        ({"lang": {"$in": ["en", 1]}}, r"\$in takes a list"),
        ({"lang": None}, "a value is a text, a number or a boolean, not None"),
        ({"lang": ["en"]}, "a value is a text"),
        ({"$and": {"a": 1}}, r"\$and takes a list of conditions"),
        ({"$or": []}, r"\$or takes a list of conditions"),
        ({"$or": ["a"]}, "a condition is a mapping"),
    ],
)
def test_a_wrong_condition_is_refused_with_what_is_wrong(where: dict[str, Any], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        normalised(where)


@pytest.mark.parametrize(
    ("where", "plain"),
    [
        ({}, None),
        ({"a": 1}, {"a": {"$eq": 1}}),
        ({"a": 1, "b": "x"}, {"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": "x"}}]}),
        ({"a": {"$gt": 1, "$lt": 3}}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 3}}]}),
        ({"$and": [{"a": 1}]}, {"a": {"$eq": 1}}),
        ({"$or": [{"a": 1}]}, {"a": {"$eq": 1}}),
        ({"$or": [{"a": 1}, {}]}, None),
        ({"a": {"$in": [1, 2.5]}}, {"a": {"$in": [1.0, 2.5]}}),
    ],
)
def test_conditions_are_written_as_chroma_takes_them(where: dict[str, Any], plain: dict[str, Any] | None) -> None:
    assert normalised(where) == plain


@pytest.mark.parametrize(
    ("where", "metadata", "holds"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": {"$ne": 1}}, {}, True),
        ({"a": {"$nin": ["x"]}}, {"a": 3}, True),
        ({"a": {"$lt": 5}}, {}, False),
        ({"a": {"$lt": 5}}, {"a": False}, False),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
        (None, {}, True),
    ],
)
def test_metadata_satisfies_conditions(where: dict[str, Any] | None, metadata: dict[str, Any], holds: bool) -> None:
    assert matcher(where)(metadata) is holds
