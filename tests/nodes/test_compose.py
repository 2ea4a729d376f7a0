"""Channels put together to one text."""

import pytest
from pydantic import ValidationError

from agentrag.nodes.compose import Compose
from agentrag.testing import fake_deps


async def test_holes_are_filled_once() -> None:
    state = {"standalone": "How old is {answer}?", "answer": "120 years."}
    out = await Compose(text=" {standalone}\n{answer} {other?}")(state, fake_deps())
    assert out == {"text": "How old is {answer}?\n120 years."}


async def test_a_list_has_one_item_a_line() -> None:
    assert await Compose(text="{queries}")({"queries": ["a", "b"]}, fake_deps()) == {"text": "a\nb"}


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_template_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is empty"):
        Compose(text=text)
