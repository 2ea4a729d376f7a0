"""Citations come from the passages, not from the model's word."""

from typing import Any

import pytest

from agentrag.core.types import Passage
from agentrag.nodes.cite import Cite
from agentrag.testing import fake_deps

FERRY = "The island is small. The ferry leaves at nine from the north pier. Dogs travel free."
POWER = "Three wind turbines feed the station. The oldest turbine was built in 1987."
FOUND = [
    Passage("1", FERRY, "/docs/ferry.md", 50, 50 + len(FERRY), title="Ferry", heading="Ferry > Times"),
    Passage("2", POWER, "/docs/power.pdf", 0, len(POWER), page=3),
]


async def cited(answer: str, question: str = "When does the ferry leave?", **settings: object) -> dict[str, Any]:
    node = Cite.model_validate(settings)
    return dict(await node({"question": question, "answer": answer, "passages": FOUND, "evidence": FOUND[1:]}, fake_deps()))


async def test_a_supported_sentence_cites_the_sentence_that_bears_it_out() -> None:
    out = await cited("The ferry leaves at nine.")
    (citation,) = out["citations"]
    assert (citation.n, citation.source, citation.heading) == (1, "/docs/ferry.md", "Ferry > Times")
    assert citation.quote == "The ferry leaves at nine from the north pier."
    assert FERRY[citation.start - 50 : citation.end - 50] == citation.quote
    assert out["answer"] == "The ferry leaves at nine [1]."
    assert (out["unsupported"], out["abstained"]) == ([], False)


async def test_a_sentence_that_nothing_bears_out_is_marked() -> None:
    out = await cited("The ferry leaves at nine. Penguins operate the radio equipment.")
    assert out["answer"] == "The ferry leaves at nine [1]. Penguins operate the radio equipment [?]."
    assert out["unsupported"] == ["Penguins operate the radio equipment."]


@pytest.mark.parametrize(("year", "supported"), [("1987", True), ("1986", False)])
async def test_a_wrong_number_is_no_support_however_alike_the_words(year: str, supported: bool) -> None:
    out = await cited(f"The oldest turbine was built in {year}.", "How old is the oldest turbine?")
    assert bool(out["citations"]) == supported


async def test_one_quote_has_one_number_and_numbers_follow_first_use() -> None:
    out = await cited("The oldest turbine was built in 1987. The ferry leaves at nine. It was built in 1987.", "turbine?")
    assert out["answer"] == "The oldest turbine was built in 1987 [1]. The ferry leaves at nine [2]. It was built in 1987 [1]."


async def test_markers_of_the_model_are_dropped() -> None:
    out = await cited("The ferry leaves at nine [7]. [1, 2]")
    assert out["answer"] == "The ferry leaves at nine [1]."


async def test_a_bare_span_is_cited_without_markers() -> None:
    out = await cited("nine", span=True)
    assert out["answer"] == "nine"
    assert [citation.n for citation in out["citations"]] == [1]


async def test_quotes_come_only_from_the_chosen_channel() -> None:
    out = await cited("The ferry leaves at nine.", among="evidence")
    assert out["citations"] == []


async def test_a_claim_over_two_sentences_cites_both() -> None:
    out = await cited(
        "Three wind turbines feed the station, the oldest built in 1987.", "What feeds the station?", threshold=0.8
    )
    assert [citation.quote for citation in out["citations"]] == [
        "Three wind turbines feed the station.",
        "The oldest turbine was built in 1987.",
    ]


@pytest.mark.parametrize("answer", ["", "   ", "[1]"])
async def test_an_empty_answer_has_no_citations(answer: str) -> None:
    assert (await cited(answer))["citations"] == []
