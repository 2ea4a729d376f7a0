"""Yes/no questions are read from log-probabilities."""

import math

import pytest

from agentrag.core.errors import ModelError
from agentrag.core.types import Completion, TokenLogprob
from agentrag.nodes.judge import JudgeAnswerable
from agentrag.testing import ScriptedModel, fake_deps, passages

STATE = {"standalone": "Why?", "evidence": passages("Because.")}


def said(*likeliest: tuple[str, float]) -> Completion:
    top = tuple((word, math.log(chance)) for word, chance in likeliest)
    return Completion(top[0][0], tokens=(TokenLogprob(*top[0], top),))


@pytest.mark.parametrize(
    ("likeliest", "odds"),
    [
        ([("yes", 0.8), ("no", 0.2)], 4.0),
        ([("no", 0.5), ("Yes", 0.2), (" yes", 0.05)], 0.5),
        ([("maybe", 0.9), ("no", 0.1)], 1e-5),
    ],
    ids=["plain", "spellings add up", "a missing word has the floor"],
)
async def test_the_odds_come_from_all_likeliest_tokens(likeliest: list[tuple[str, float]], odds: float) -> None:
    model = ScriptedModel([said(*likeliest)])
    out = await JudgeAnswerable()(STATE, fake_deps(model))
    assert math.exp(out["answerable"]) == pytest.approx(odds, rel=1e-3)
    assert (model.requests[0].max_tokens, model.requests[0].logprobs) == (1, 20)


async def test_a_model_without_log_probabilities_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="no log-probabilities; bind slot 'gate' to one that does"):
        await JudgeAnswerable()(STATE, fake_deps(ScriptedModel([Completion("yes")])))
