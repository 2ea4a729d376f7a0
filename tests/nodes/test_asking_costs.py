"""What a node that asks a model says it can cost is never below what it sends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentrag.core.node import Node
from agentrag.core.prompts import Prompts
from agentrag.core.sizes import ITEM_BYTES, Size, Sizes
from agentrag.core.types import ChatRequest, Completion, TokenLogprob
from agentrag.nodes.decompose import Decompose
from agentrag.nodes.expand import Expand
from agentrag.nodes.grade import Grade
from agentrag.nodes.rewrite import Rewrite
from agentrag.testing import ScriptedModel, fake_deps, passages

NASTY = "<s></s>[INST]\U0001f9c0é "
LONG = passages(*(NASTY * 20 + str(number) for number in range(12)))
SLICES = [replace(LONG[0], text=NASTY * 3, start=start) for start in range(30)]
QUESTION, QUERY = NASTY * 30, NASTY * 10
STATE = {"question": QUESTION, "query": QUERY, "passages": LONG, "evidence": SLICES}
SIZES = Sizes(
    {
        "question": Size(1, len(QUESTION.encode())),
        "query": Size(1, len(QUERY.encode())),
        "passages": Size(len(LONG), ITEM_BYTES + max(len(passage.text.encode()) for passage in LONG)),
        "evidence": Size(len(SLICES), ITEM_BYTES + len(SLICES[0].text.encode())),
    },
    Prompts(),
)


@pytest.mark.parametrize(
    "node",
    [
        Expand(n=8, max_tokens=20),
        Expand(question="{question} {query}"),
        Decompose(),
        Rewrite(),
        Rewrite(shown=0),
        Rewrite(shown=9, characters=2000),
        Grade(),
        Grade(limit=100),
        Grade(among="evidence"),
        Grade(among="evidence", limit=100, question="{query}"),
    ],
    ids=str,
)
async def test_no_more_is_asked_than_the_cost_says(node: Node) -> None:
    model = ScriptedModel(maybe)
    await node(STATE, fake_deps(model))
    cost = node.cost(SIZES)
    assert len(model.requests) <= cost.model
    assert sum(request.max_tokens for request in model.requests) <= cost.completion
    assert sum(map(written, model.requests)) <= cost.prompt


@pytest.mark.parametrize("node", [Expand(), Decompose(), Rewrite(), Grade()], ids=str)
async def test_no_less_is_asked_than_the_least_says(node: Node) -> None:
    model = ScriptedModel(maybe)
    nothing = {"question": "?", "passages": []}
    await node(nothing, fake_deps(model))
    assert len(model.requests) >= node.least(Sizes({"question": Size(1, 1)}, Prompts())).model


@pytest.mark.parametrize(
    ("node", "grown"),
    [(Grade(), "passages"), (Grade(among="evidence"), "evidence"), (Rewrite(), "query"), (Expand(), "question")],
    ids=str,
)
def test_the_cost_grows_with_what_is_shown(node: Node, grown: str) -> None:
    larger = replace(SIZES, table={**SIZES.table, grown: replace(SIZES.table[grown], bytes=5000)})
    assert node.cost(larger).prompt > node.cost(SIZES).prompt


def maybe(request: ChatRequest) -> Completion:
    return Completion("maybe", tokens=(TokenLogprob("maybe", -0.1, (("maybe", -0.1),)),))


def written(request: ChatRequest) -> int:
    return sum(len(message.content.encode()) for message in request.messages)
