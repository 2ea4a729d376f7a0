"""Say that the documents do not answer."""

from __future__ import annotations

from collections.abc import Mapping

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, node
from agentrag.core.sizes import Size, Sizes


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

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        return {"answer": Size(1, len(self.text.encode())), "citations": Size(0), "unsupported": Size(0)}
