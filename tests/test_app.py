"""The façade: load, run, stream, and open back ends."""

import math

import pytest

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.core.errors import NodeError, SpecError, UnknownNameError
from agentrag.core.events import ChoiceMade, Event, RunFinished, RunStarted, StepFinished, Token
from agentrag.core.types import Completion, Message, TokenLogprob
from agentrag.testing import ScriptedModel, fake_deps, passages

FERRY = "The ferry leaves at nine from the north pier."
QUESTION = "When does the ferry leave?"


def judged(chance_of_yes: float) -> Completion:
    top = (("yes", math.log(chance_of_yes)), ("no", math.log(1 - chance_of_yes)))
    return Completion("yes", tokens=(TokenLogprob("yes", top[0][1], top),))


async def test_ask_answers_with_a_citation_for_each_sentence() -> None:
    model = ScriptedModel([judged(0.95), "The ferry leaves at nine."])
    result = await Graph.load("ask").run(fake_deps(model, passages(FERRY, "Dogs travel free.")), question=QUESTION)
    assert result["answer"] == "The ferry leaves at nine [1]."
    assert [citation.quote for citation in result["citations"]] == [FERRY]
    assert not result["abstained"]
    assert result.usage["write"].calls == 1


async def test_ask_refuses_where_the_passages_do_not_state_the_answer() -> None:
    model = ScriptedModel([judged(0.02)])
    result = await Graph.load("ask").run(fake_deps(model, passages("Dogs travel free.")), question=QUESTION)
    assert (result["answer"], result["abstained"], result["citations"]) == ("not in the documents", True, [])
    assert len(model.requests) == 1


@pytest.mark.parametrize("style", ["full", "short"])
async def test_ask_refuses_an_answer_that_no_passage_bears_out(style: str) -> None:
    model = ScriptedModel([judged(0.95), "Penguins fly submarines."])
    result = await Graph.load("ask").run(fake_deps(model, passages(FERRY)), question=QUESTION, style=style)
    assert (result["answer"], result["abstained"]) == ("not in the documents", True)


async def test_ask_refuses_without_documents() -> None:
    result = await Graph.load("ask").run(fake_deps(ScriptedModel([judged(0.95)])), question=QUESTION)
    assert result["abstained"]


async def test_style_short_gives_the_bare_span_with_its_evidence() -> None:
    model = ScriptedModel([judged(0.95), "at nine"])
    result = await Graph.load("ask").run(fake_deps(model, passages(FERRY)), question=QUESTION, style="short")
    assert result["answer"] == "at nine"
    assert [citation.quote for citation in result["citations"]] == [FERRY]


async def test_with_history_the_search_is_for_the_self_contained_question() -> None:
    model = ScriptedModel(["When does the ferry to Ternholm leave?", judged(0.95), "The ferry leaves at nine."])
    history = [Message("user", "How do I get to Ternholm?"), Message("assistant", "By ferry.")]
    result = await Graph.load("ask").run(fake_deps(model, passages(FERRY)), question="When does it leave?", history=history)
    assert result.state["standalone"] == "When does the ferry to Ternholm leave?"
    assert "When does the ferry to Ternholm leave?" in model.requests[-1].messages[-1].content


async def test_a_stream_tells_the_whole_run_in_order() -> None:
    model = ScriptedModel([judged(0.95), "The ferry leaves at nine."])
    events: list[Event] = [
        event async for event in Graph.load("ask").stream(fake_deps(model, passages(FERRY)), question=QUESTION)
    ]
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert [event.node for event in events if isinstance(event, StepFinished)] == [
        "condense",
        "search",
        "select",
        "judge",
        "write",
        "cite",
    ]
    assert [event.branch for event in events if isinstance(event, ChoiceMade)] == ["otherwise"] * 3
    assert "".join(event.text for event in events if isinstance(event, Token)) == "The ferry leaves at nine."


async def test_every_run_has_an_id_of_its_own() -> None:
    deps = fake_deps(lambda_model(), passages(FERRY))
    graph = Graph.load("ask")
    first, second = [await graph.run(deps, question=QUESTION) for _ in range(2)]
    assert first.run != second.run
    assert first.outputs == second.outputs


def lambda_model() -> ScriptedModel:
    return ScriptedModel(lambda request: judged(0.95) if request.logprobs else "The ferry leaves at nine.")


def test_run_sync_needs_no_event_loop() -> None:
    result = Graph.load("ask").run_sync(fake_deps(lambda_model(), passages(FERRY)), question=QUESTION)
    assert result["answer"].startswith("The ferry")


async def test_a_failing_model_names_its_node() -> None:
    with pytest.raises(NodeError, match=r"Node 'judge'.*the script of 0 replies has ended"):
        await Graph.load("ask").run(fake_deps(ScriptedModel([]), passages(FERRY)), question=QUESTION)


def test_an_unknown_graph_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises((SpecError, UnknownNameError), match="ask"):
        Graph.load("aks")


@pytest.mark.parametrize(
    ("models", "collections", "message"),
    [({"writr": "default"}, {}, "Did you mean 'writer'"), ({}, {"dogs": "x"}, "Did you mean 'docs'")],
    ids=["model slot", "collection slot"],
)
async def test_a_slot_that_the_graph_does_not_have_is_refused(
    models: dict[str, str], collections: dict[str, str], message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        async with open_deps(Graph.load("ask"), models=models, collections=collections):
            pass
