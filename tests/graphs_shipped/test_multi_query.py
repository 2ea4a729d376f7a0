"""The shipped graph `multi-query`."""

from dataclasses import replace

import pytest

from agentrag.app import Graph
from agentrag.retrieval.fuse import rrf
from agentrag.testing import fake_deps
from tests.graphs_shipped.shelf import Mind, Shelf

QUESTION = "How old is the pier?"
PASSAGES = {
    "jetty": "The stone jetty was finished in 1871.",
    "ferry": "The ferry leaves from the pier at nine.",
    "fish": "Fish is sold on the pier on Fridays.",
    "tide": "At low tide the sand is dry.",
}
FINDS = {
    QUESTION: ["ferry", "fish", "jetty"],
    "when was the jetty built": ["jetty", "tide"],
    "year of construction": ["tide", "jetty"],
    "pier age": ["fish", "jetty", "ferry"],
}
EXPAND = "1. when was the jetty built\n2. year of construction\n3. pier age"
JETTY = Mind(answer=lambda _: "The stone jetty was finished in 1871.", expand=EXPAND)


async def test_the_rankings_of_question_and_variants_are_joined_by_reciprocal_rank() -> None:
    shelf = Shelf(PASSAGES, FINDS)
    result = await Graph.load("multi-query").run(fake_deps(JETTY.model(), shelf), question=QUESTION)
    ids = rrf(list(FINDS.values()))
    assert sorted(shelf.queries) == sorted(FINDS)
    assert [passage.id for passage in result.state["passages"]] == [id_ for id_, _ in ids] != FINDS[QUESTION]
    assert result["answer"] == "The stone jetty was finished in 1871 [1]."
    assert [citation.quote for citation in result["citations"]] == [PASSAGES["jetty"]]
    assert not result["abstained"]


async def test_no_more_passages_are_kept_than_evidence_is_chosen_from() -> None:
    passages = {f"{branch}{number}": f"Note {number} of {branch}." for branch in "abcd" for number in range(30)}
    finds = {query: [f"{branch}{n}" for n in range(30)] for query, branch in zip(FINDS, "abcd", strict=True)}
    result = await Graph.load("multi-query").run(fake_deps(JETTY.model(), Shelf(passages, finds)), question=QUESTION)
    assert [passage.id for passage in result.state["passages"]] == [f"{branch}{n}" for n in range(5) for branch in "abcd"]


@pytest.mark.parametrize("said", ["", "...", QUESTION], ids=["nothing", "nonsense", "the question"])
async def test_without_variants_the_question_alone_is_answered(said: str) -> None:
    mind = Mind(answer=lambda _: "The ferry leaves from the pier at nine.", expand=said)
    shelf = Shelf(PASSAGES, FINDS)
    result = await Graph.load("multi-query").run(fake_deps(mind.model(), shelf), question=QUESTION)
    assert set(shelf.queries) == {QUESTION}
    assert [passage.id for passage in result.state["passages"]] == FINDS[QUESTION]
    assert result["citations"]


@pytest.mark.parametrize(
    ("mind", "shelf", "writes"),
    [
        (replace(JETTY, judge=lambda _: -4.0), Shelf(PASSAGES, FINDS), False),
        (JETTY, Shelf(PASSAGES, {}), False),
        (replace(JETTY, answer=lambda _: "Penguins fly submarines."), Shelf(PASSAGES, FINDS), True),
    ],
    ids=["the judge says no", "nothing is found", "nothing bears the answer out"],
)
async def test_it_refuses(mind: Mind, shelf: Shelf, writes: bool) -> None:
    result = await Graph.load("multi-query").run(fake_deps(mind.model(), shelf), question=QUESTION)
    assert (result["answer"], result["abstained"], result["citations"]) == ("not in the documents", True, [])
    assert ("write" in result.usage) == writes


async def test_style_short_gives_a_bare_span() -> None:
    mind = replace(JETTY, answer=lambda _: "1871")
    result = await Graph.load("multi-query").run(
        fake_deps(mind.model(), Shelf(PASSAGES, FINDS)), question=QUESTION, style="short"
    )
    assert (result["answer"], result["citations"][0].quote) == ("1871", PASSAGES["jetty"])
