"""Questions for one fact each."""

import pytest

from agentrag.nodes.decompose import Decompose
from agentrag.testing import ScriptedModel, fake_deps

QUESTION = "Is the pier older than the lighthouse?"
MANY = [f"Was the {thing} there in {year}?" for year in (1800, 1850, 1900) for thing in ("pier", "lighthouse")]


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        ("How old is the pier?\nHow old is the lighthouse?", ["How old is the pier?", "How old is the lighthouse?"]),
        (
            "Sub-questions:\n1. How old is the pier?\n2. When was the lighthouse built?",
            ["How old is the pier?", "When was the lighthouse built?"],
        ),
        (QUESTION, [QUESTION]),
        (f"{QUESTION}\nHow old is the pier?", [QUESTION]),
        ("How old is the pier?", [QUESTION]),
        ("Which is older, the lighthouse or the pier?\nWho owns the pier?", [QUESTION]),
        ("Is the pier older than the church?\nIs the pier older than the harbour?", [QUESTION]),
        ("", [QUESTION]),
        ("I cannot help with that.\nSorry.", [QUESTION]),
        ("How old is the museum?\nHow old is the pier?\nWho built the library?", [QUESTION]),
        ("\n".join(MANY), MANY[:3]),
    ],
    ids=[
        "two",
        "numbered",
        "the question",
        "one part and the question",
        "one part",
        "the question in other words",
        "one part turned round",
        "nothing",
        "nonsense",
        "copied examples",
        "too many",
    ],
)
async def test_a_question_becomes_several_or_stays_itself(reply: str, parts: list[str]) -> None:
    out = await Decompose(n=3)({"question": QUESTION}, fake_deps(ScriptedModel([reply])))
    assert out == {"sub_questions": parts}


async def test_the_prompt_is_given_the_filled_question_and_the_number() -> None:
    model = ScriptedModel(["x"])
    state = {"question": "And it?", "standalone": QUESTION}
    await Decompose(n=2, question="{standalone}", max_tokens=50)(state, fake_deps(model))
    (request,) = model.requests
    assert request.messages[-1].content == QUESTION
    assert "at most 2" in request.messages[0].content
    assert request.max_tokens == 50


async def test_several_questions_about_several_things_are_all_kept() -> None:
    question = "Who built the pier and the lighthouse, and when?"
    parts = [f"{word} the {thing}?" for word in ("Who built", "When did they build") for thing in ("pier", "lighthouse")]
    out = await Decompose()({"question": question}, fake_deps(ScriptedModel(["\n".join(parts)])))
    assert out == {"sub_questions": parts}
