"""Follow-up questions become self-contained."""

import pytest

from agentrag.core.types import Message
from agentrag.nodes.condense import Condense
from agentrag.testing import ScriptedModel, fake_deps

HISTORY = [Message("user", "Who was Ada Lovelace?"), Message("assistant", "A mathematician. " * 100)]


async def test_without_history_no_model_is_asked() -> None:
    model = ScriptedModel([])
    assert await Condense()({"question": "Why?", "history": []}, fake_deps(model)) == {
        "standalone": "Why?",
        "contextual": "Why?",
    }
    assert model.requests == []


async def test_history_is_shown_trimmed_with_the_question_last() -> None:
    model = ScriptedModel(['"When was Ada Lovelace born?"'])
    out = await Condense(characters=60)({"question": "When was she born?", "history": HISTORY}, fake_deps(model))
    assert out == {
        "standalone": "When was Ada Lovelace born?",
        "contextual": "Who was Ada Lovelace? When was she born?",
    }
    shown = model.requests[0].messages[-1].content
    assert shown.index("Ada") < shown.index("When was she born?")
    assert shown.count("mathematician") == 3


@pytest.mark.parametrize("turns", [1, 2])
async def test_only_the_last_turns_are_shown(turns: int) -> None:
    model = ScriptedModel(["x"])
    await Condense(turns=turns)({"question": "?", "history": HISTORY}, fake_deps(model))
    assert ("Lovelace" in model.requests[0].messages[-1].content) == (turns == 2)


async def test_an_empty_reply_leaves_the_question_as_it_is() -> None:
    out = await Condense()({"question": "And she?", "history": HISTORY}, fake_deps(ScriptedModel([" "])))
    assert out["standalone"] == "And she?"
