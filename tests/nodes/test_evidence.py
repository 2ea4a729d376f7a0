"""Evidence sentences are exact slices of their passages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrag.core.types import Passage
from agentrag.nodes.evidence import Evidence
from agentrag.testing import fake_deps

FERRY = (
    "The island is small and lies far from the coast of the mainland. The ferry leaves at nine. "
    "Visitors should bring water, since the wells run dry in summer. The harbour is old. Gulls nest there."
)
DOCUMENT = "x" * 100 + FERRY


def passage(text: str = FERRY, start: int = 100) -> Passage:
    return Passage("1", text, "a.md", start, start + len(text), title="Ternholm")


async def test_the_sentence_that_answers_is_kept_and_is_a_slice_of_the_document() -> None:
    out = await Evidence(tokens=20)({"question": "When does the ferry leave?", "passages": [passage()]}, fake_deps())
    assert out["evidence"][0].text.startswith("The ferry leaves at nine.")
    assert "wells" not in out["evidence"][0].text
    assert all(DOCUMENT[piece.start : piece.end] == piece.text for piece in out["evidence"])


async def test_neighbouring_sentences_become_one_slice_and_order_is_kept() -> None:
    out = await Evidence(tokens=500)({"question": "ferry", "passages": [passage()]}, fake_deps())
    assert [piece.text for piece in out["evidence"]] == [FERRY]


async def test_the_best_sentence_stays_even_where_it_is_longer_than_the_bound() -> None:
    long = "The ferry " + "very " * 100 + "leaves."
    out = await Evidence(tokens=20)({"question": "ferry", "passages": [passage(long)]}, fake_deps())
    assert [piece.text for piece in out["evidence"]] == [long]


async def test_no_passages_give_no_evidence_and_no_call() -> None:
    deps = fake_deps(embedder=None)
    assert await Evidence()({"question": "?", "passages": []}, deps) == {"evidence": [], "relevance": 0.0}


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=4), bound=st.integers(20, 60))
async def test_whatever_the_text_slices_are_exact_and_bounded(texts: list[str], bound: int) -> None:
    found = [Passage(str(i), text, f"{i}", 7, 7 + len(text)) for i, text in enumerate(texts)]
    out = await Evidence(tokens=bound)({"question": "a b", "passages": found}, fake_deps())
    for piece in out["evidence"]:
        whole = texts[int(piece.id)]
        assert whole[piece.start - 7 : piece.end - 7] == piece.text
    if len(out["evidence"]) > 1:
        sentences_only = sum(len(piece.text.replace(" ", "")) for piece in out["evidence"])
        assert sentences_only <= bound * 4.4 + 10


@pytest.mark.parametrize(("title", "first"), [("Bus", "noon"), ("Ternholm ferry", "nine")])
async def test_words_of_the_title_count_for_its_sentences(title: str, first: str) -> None:
    noon = "It leaves at noon, and the way takes an hour and a half in fair weather, two in foul."
    nine = "It leaves at nine, and the way takes an hour and a half in fair weather, two in foul."
    found = [Passage("1", noon, "a", title="Bus"), Passage("2", nine, "b", title=title)]
    question = {"question": "When does the Ternholm ferry leave?", "passages": found}
    out = await Evidence(tokens=20)(question, fake_deps())
    assert first in out["evidence"][0].text
