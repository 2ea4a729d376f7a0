"""Yes and no as numbers."""

import math

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.logodds import LOWEST, yes_or_no, yes_over_no
from agentrag.core.types import Completion, Message, TokenLogprob
from agentrag.testing import ScriptedModel, fake_deps

ASKED = (Message("user", "Is it?"),)


def test_neither_word_gives_zero() -> None:
    assert yes_over_no([("perhaps", -0.1)]) == 0


def test_a_sure_no_is_the_lowest_value() -> None:
    assert yes_over_no([("no", 0.0)]) == pytest.approx(LOWEST)


async def test_one_token_is_asked_for_and_its_alternatives_are_read() -> None:
    top = (("maybe", math.log(0.5)), ("Yes", math.log(0.3)), ("no", math.log(0.1)))
    model = ScriptedModel([Completion("maybe", tokens=(TokenLogprob(*top[0], top),))])
    assert math.exp(await yes_or_no(fake_deps(model), "gate", ASKED)) == pytest.approx(3.0, rel=1e-3)
    assert (model.requests[0].messages, model.requests[0].max_tokens, model.requests[0].logprobs) == (ASKED, 1, 20)


async def test_a_model_without_log_probabilities_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="no log-probabilities; bind slot 'gate' to one that does"):
        await yes_or_no(fake_deps(ScriptedModel([Completion("yes")])), "gate", ASKED)
