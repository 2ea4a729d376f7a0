from collections.abc import Mapping

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.data.fields import GOLD, fed, refuse_gold_inputs


def query(name: str, golden: tuple[str, ...] = (), **fields: object) -> Query:
    return Query(Question(name, f"{name}?"), Gold(golden, {f"doc-{name}": 1}, fields))


QUERIES = [
    query(
        "a",
        ("no",),
        domain="law",
        verdict="No.",
        steps="1. look",
        golds=["no"],
        said="x",
        gold_doc="doc-a",
        meta={"a": [{"steps": 1}]},
    ),
    query(
        "b", ("the Rhine",), domain="sea", verdict="Rhine", golds=["Rhine"], said="It is the Rhine.", gold_doc="doc-b", meta={}
    ),
]


def test_a_field_fills_an_input_query_by_query() -> None:
    assert fed(QUERIES, {"area": "domain"}) == {"a": {"area": "law"}, "b": {"area": "sea"}}
    assert fed(QUERIES, {}) == {"a": {}, "b": {}}


@pytest.mark.parametrize("field", sorted(GOLD))
def test_what_answers_are_judged_by_is_refused_by_its_name(field: str) -> None:
    with pytest.raises(DataSetError, match=f"Field '{field}' holds what the answers are judged by"):
        fed([query("a", ("x",), **{field: "y"})], {"hint": field})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"hint": "verdict"}, r"Field 'verdict' holds the answers \(in 2 of 2 queries"),
        ({"hint": "golds"}, r"Field 'golds' holds the answers \(in 2 of 2"),
        ({"hint": "said"}, r"Field 'said' holds the answers \(in 1 of 2"),
        ({"hint": "gold_doc"}, r"Field 'gold_doc' holds the answers \(in 2 of 2"),
        ({"hint": "meta"}, "Field 'meta' holds 'steps', what the answers are judged by"),
        ({"area": "domian"}, "Unknown field 'domian'. Did you mean 'domain'?"),
        ({"area": "steps"}, "Field 'steps' holds what the answers are judged by"),
    ],
    ids=["answers-under-another-name", "in-a-list", "in-a-sentence", "the-document", "deep-inside", "misspelt", "gold"],
)
def test_a_field_that_no_graph_may_get_is_refused(fields: Mapping[str, str], says: str) -> None:
    with pytest.raises(DataSetError, match=says):
        fed(QUERIES, fields)


def test_a_query_without_the_field_is_named() -> None:
    with pytest.raises(DataSetError, match="Query 'c' has no field 'domain' for input 'area'"):
        fed([*QUERIES, query("c", ("maybe",))], {"area": "domain"})


def test_a_graph_that_needs_gold_as_an_input_is_refused() -> None:
    with pytest.raises(DataSetError, match="Graph 'cheat' asks for 'answers', where the data set holds its answers"):
        refuse_gold_inputs("cheat", ["question", "answers"], QUERIES)
    with pytest.raises(DataSetError, match="asks for 'steps'"):
        refuse_gold_inputs("cheat", ["question", "steps"], QUERIES)
    refuse_gold_inputs("honest", ["question", "evidences"], QUERIES)  # this data set has no such field
