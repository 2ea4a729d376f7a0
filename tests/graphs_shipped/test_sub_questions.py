"""The shipped graph `sub-questions`."""

import pytest

from agentrag.app import Graph
from agentrag.testing import fake_deps
from tests.graphs_shipped.shelf import Mind, Shelf

QUESTION = "Is the jetty older than the lighthouse?"
PARTS = ["When was the jetty built?", "When was the lighthouse built?"]
JETTY, LIGHT = "The stone jetty was finished in 1871.", "The lighthouse was built in 1881."
PASSAGES = {"jetty": JETTY, "light": LIGHT, "tide": "At low tide the sand is dry."}
FINDS = {QUESTION: ["light", "tide"], PARTS[0]: ["jetty", "tide"], PARTS[1]: ["light", "tide"]}


def answer(asked: str) -> str:
    """Answers the question of a prompt by heart."""
    question = asked.rpartition("Question: ")[2].splitlines()[0]
    known = {PARTS[0]: JETTY, PARTS[1]: LIGHT, QUESTION: f"{JETTY} {LIGHT}"}
    return known[question]


async def test_the_parts_are_answered_and_then_the_whole() -> None:
    shelf = Shelf(PASSAGES, FINDS)
    model = Mind(answer=answer, decompose="\n".join(PARTS)).model()
    result = await Graph.load("sub-questions").run(fake_deps(model, shelf), question=QUESTION)
    assert shelf.queries == PARTS
    assert result.state["sub_answers"] == [f"{PARTS[0]}\n{JETTY}", f"{PARTS[1]}\n{LIGHT}"]
    assert result.state["standalone"] == QUESTION
    assert [passage.id for passage in result.state["passages"]] == ["jetty", "tide", "light"]
    assert {citation.quote for citation in result["citations"]} == {JETTY, LIGHT}
    assert result["answer"] == "The stone jetty was finished in 1871 [1]. The lighthouse was built in 1881 [2]."
    last = model.requests[-1].messages[-1].content
    assert f"Found so far:\n{PARTS[0]}\n{JETTY}\n{PARTS[1]}\n{LIGHT}\n\nQuestion: {QUESTION}\n" in last


async def test_a_part_that_the_documents_do_not_answer_is_told_as_such() -> None:
    mind = Mind(answer=answer, decompose="\n".join(PARTS), judge=lambda asked: -4.0 if PARTS[1] in asked else 4.0)
    result = await Graph.load("sub-questions").run(fake_deps(mind.model(), Shelf(PASSAGES, FINDS)), question=QUESTION)
    assert result.state["sub_answers"] == [f"{PARTS[0]}\n{JETTY}", f"{PARTS[1]}\nnot in the documents"]
    assert JETTY in {citation.quote for citation in result["citations"]}
    assert not result["abstained"]


async def test_it_refuses_where_no_part_is_answered() -> None:
    mind = Mind(answer=answer, decompose="\n".join(PARTS), judge=lambda _: -4.0)
    result = await Graph.load("sub-questions").run(fake_deps(mind.model(), Shelf(PASSAGES, FINDS)), question=QUESTION)
    assert (result["answer"], result["abstained"], result["citations"]) == ("not in the documents", True, [])
    assert "combine" not in result.usage


@pytest.mark.parametrize("said", ["", QUESTION, "I am sorry."], ids=["nothing", "the question", "nonsense"])
async def test_a_simple_question_is_answered_at_once(said: str) -> None:
    shelf = Shelf(PASSAGES, FINDS)
    mind = Mind(answer=lambda _: LIGHT, decompose=said)
    result = await Graph.load("sub-questions").run(fake_deps(mind.model(), shelf), question=QUESTION)
    assert shelf.queries == [QUESTION]
    assert result["answer"] == "The lighthouse was built in 1881 [1]."
    assert not {"combine", "note"} & result.usage.keys()


@pytest.mark.parametrize("judged", [4.0, -4.0], ids=["nothing is found", "the judge says no"])
async def test_a_simple_question_without_evidence_is_refused(judged: float) -> None:
    shelf = Shelf(PASSAGES, FINDS if judged < 0 else {})
    mind = Mind(answer=lambda _: LIGHT, judge=lambda _: judged)
    result = await Graph.load("sub-questions").run(fake_deps(mind.model(), shelf), question=QUESTION)
    assert result["abstained"]


@pytest.mark.parametrize("parts", [PARTS, []], ids=["several parts", "a simple question"])
async def test_an_answer_that_nothing_bears_out_is_refused(parts: list[str]) -> None:
    mind = Mind(answer=lambda _: "Penguins fly submarines.", decompose="\n".join(parts))
    result = await Graph.load("sub-questions").run(fake_deps(mind.model(), Shelf(PASSAGES, FINDS)), question=QUESTION)
    assert result["abstained"]


@pytest.mark.parametrize("parts", [PARTS, []], ids=["several parts", "a simple question"])
async def test_style_short_gives_a_bare_span(parts: list[str]) -> None:
    mind = Mind(answer=lambda asked: "1881" if "few words" in asked else answer(asked), decompose="\n".join(parts))
    deps = fake_deps(mind.model(), Shelf(PASSAGES, FINDS))
    result = await Graph.load("sub-questions").run(deps, question=QUESTION, style="short")
    assert (result["answer"], result["citations"][0].quote) == ("1881", LIGHT)


async def test_no_more_parts_are_answered_than_allowed() -> None:
    many = [f"Was the {thing} there in {year}?" for year in (1850, 1870, 1890) for thing in ("jetty", "lighthouse")]
    mind = Mind(answer=lambda _: JETTY, decompose="\n".join(many))
    shelf = Shelf(PASSAGES, {query: ["jetty"] for query in many})
    await Graph.load("sub-questions").run(fake_deps(mind.model(), shelf), question=QUESTION)
    assert shelf.queries == many[:4]
