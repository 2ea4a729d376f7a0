"""Say that the documents do not answer."""

from __future__ import annotations

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, node


@node("abstain")
class Abstain(Node):
    """Replace whatever was drafted by a refusal.

    Writes `answer` (the refusal), `abstained` (true), `citations` and `unsupported` (empty). Cost: none.
    """

    text: str = "not in the documents"

    def writes(self) -> frozenset[str]:
        return frozenset({"answer", "abstained", "citations", "unsupported"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"answer": self.text, "abstained": True, "citations": [], "unsupported": []}
