"""Put channels together to one text, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.node import Node, TemplateText, node
from agentrag.core.rendering import render
from agentrag.core.template import Template


@node("compose")
class Compose(Node):
    """Fill a template.

    Reads the holes of `text`; writes `text`, without white space at its ends.
    Cost: none.
    """

    channels: ClassVar[Mapping[str, Channel]] = {"text": Channel(str, untrusted=True, about="what `compose` put together")}

    text: TemplateText

    def writes(self) -> frozenset[str]:
        return frozenset({"text"})

    async def __call__(self, state: State, deps: Deps) -> State:
        return {"text": Template(self.text).fill(state, render).strip()}
