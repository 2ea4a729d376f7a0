"""What a run remembers of its graph stays the same where the language gets new keys."""

from __future__ import annotations

import hashlib

from agentrag.graph.recorded.manifest import Manifest
from agentrag.graph.spec import GraphSpec

HEAD = {"agentrag": 1, "name": "case", "inputs": {"question": "str"}, "outputs": ["word"], "nodes": {}}
BEFORE = (
    '[{"ask_human":{"question":"Go?","choices":[],"out":"word"}},'
    '{"graph":{"use":"ask","in":{"question":"question"},"out":{"answer":"word"}}}]'
)
"""The flow below as the journals of version 0.1 hashed it."""


def flow_of(**more: object) -> str:
    asked = {"question": "Go?", "out": "word", **more}
    step = {"use": "ask", "in": {"question": "question"}, "out": {"answer": "word"}}
    return Manifest.of(GraphSpec.model_validate({**HEAD, "flow": [{"ask_human": asked}, {"graph": step}]})).parts["flow"]


def test_a_flow_without_new_keys_has_the_hash_that_it_always_had() -> None:
    assert flow_of() == hashlib.sha256(BEFORE.encode()).hexdigest()
    assert flow_of(schema={"type": "string"}) != flow_of()
