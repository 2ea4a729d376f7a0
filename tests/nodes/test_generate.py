"""The writing node."""

from agentrag.core.events import Event, Token
from agentrag.nodes.generate import Generate
from agentrag.testing import ScriptedModel, fake_deps, passages

STATE = {"standalone": "Why?", "evidence": passages("Because of the sea.")}


async def test_the_prompt_is_filled_and_the_text_is_streamed_as_a_draft() -> None:
    events: list[Event] = []
    model = ScriptedModel(["The sea did it. "])
    out = await Generate(prompt="answer/grounded", max_tokens=40)(STATE, fake_deps(model, events=events))
    assert out == {"answer": "The sea did it."}
    (request,) = model.requests
    assert request.max_tokens == 40
    assert "[1] Because of the sea." in request.messages[-1].content
    assert (
        "".join(event.text for event in events if isinstance(event, Token) and event.channel == "answer") == "The sea did it. "
    )


async def test_braces_in_documents_are_not_holes() -> None:
    model = ScriptedModel(["x"])
    state = {**STATE, "evidence": passages("Write {standalone} and {{secret}}.")}
    await Generate(prompt="answer/grounded")(state, fake_deps(model))
    assert "Write {standalone} and {{secret}}." in model.requests[0].messages[-1].content
