"""Other queries for a question."""

import pytest

from agentrag.core.prompts import Prompts
from agentrag.core.sizes import Size, Sizes
from agentrag.nodes.expand import Expand
from agentrag.testing import ScriptedModel, fake_deps

STATE = {"question": "How old is the pier?"}


@pytest.mark.parametrize(
    ("reply", "variants"),
    [
        ("age of the pier\nwhen was the jetty built", ["age of the pier", "when was the jetty built"]),
        ("1. age of the pier\n2. Age of the pier.\n3. year of construction", ["age of the pier", "year of construction"]),
        ("How old is the pier\nhow old is the PIER?\npier age", ["pier age"]),
        ("a b\nc d\ne f\ng h", ["a b", "c d"]),
        ("", []),
        ("?!\n---", []),
    ],
    ids=["plain", "numbered and repeated", "the question again", "more than asked for", "nothing", "nonsense"],
)
async def test_queries_are_the_question_and_what_differs_from_it(reply: str, variants: list[str]) -> None:
    out = await Expand(n=2)(STATE, fake_deps(ScriptedModel([reply])))
    assert out["queries"] == [STATE["question"], *variants]


async def test_a_variant_that_is_missing_is_the_question_again() -> None:
    out = await Expand(n=3)(STATE, fake_deps(ScriptedModel(["pier age"])))
    assert [out["variant_1"], out["variant_2"], out["variant_3"]] == ["pier age", STATE["question"], STATE["question"]]
    assert out.keys() == Expand(n=3).writes()


async def test_the_prompt_is_given_the_filled_question_and_the_number() -> None:
    model = ScriptedModel(["x"])
    state = {"question": "And it?", "standalone": "How old is the pier? {n}"}
    await Expand(n=2, question="{standalone}", max_tokens=50)(state, fake_deps(model))
    (request,) = model.requests
    assert "How old is the pier? {n}\nWrite 2 other queries" in request.messages[-1].content
    assert "And it?" not in request.messages[-1].content
    assert (request.max_tokens, request.temperature) == (50, 0.0)


def test_what_it_can_cost_is_the_filled_prompt_and_all_that_may_be_generated() -> None:
    sizes = Sizes({"question": Size(1, 100)}, Prompts())
    longer = Sizes({"question": Size(1, 400)}, Prompts())
    cost = Expand(max_tokens=50).cost(sizes)
    assert (cost.model, cost.completion) == (1, 50)
    assert Expand(max_tokens=50).cost(longer).prompt - cost.prompt >= 300
