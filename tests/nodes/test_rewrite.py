"""The next query of a loop."""

import pytest

from agentrag.nodes.rewrite import Rewrite
from agentrag.testing import ScriptedModel, fake_deps, passages

QUESTION = "How old is the pier?"


async def test_the_first_query_is_the_question_and_no_model_is_asked() -> None:
    model = ScriptedModel([])
    assert await Rewrite()({"question": QUESTION}, fake_deps(model)) == {"query": QUESTION}
    assert model.requests == []


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ("jetty year of construction", "jetty year of construction"),
        ('Better query: "jetty built"\nIt asks for the year.', "jetty built"),
        ("", "pier age"),
        ("...", "pier age"),
    ],
    ids=["plain", "framed and explained", "nothing", "nonsense"],
)
async def test_a_later_query_is_the_first_line_of_the_model_or_the_last_query(reply: str, query: str) -> None:
    state = {"question": QUESTION, "query": "pier age", "passages": []}
    assert await Rewrite()(state, fake_deps(ScriptedModel([reply]))) == {"query": query}


async def test_the_model_sees_what_was_asked_tried_and_found_each_within_its_bound() -> None:
    model = ScriptedModel(["x"])
    found = passages("The ferry is old. " * 20, "The {query} café.", "A third passage.")
    state = {"question": "And it?", "standalone": QUESTION, "query": "pier age", "passages": found}
    await Rewrite(question="{standalone}", shown=2, characters=40)(state, fake_deps(model))
    shown = model.requests[0].messages[-1].content
    assert f"Question: {QUESTION}\nLast query: pier age\n" in shown
    assert "The ferry is old. The ferry is old. ...\nThe {query} café.\n" in shown
    assert "third" not in shown


async def test_a_search_that_found_nothing_is_told_as_such() -> None:
    model = ScriptedModel(["x"])
    await Rewrite()({"question": QUESTION, "query": "pier age", "passages": []}, fake_deps(model))
    assert "It found:\nnothing\n" in model.requests[0].messages[-1].content
