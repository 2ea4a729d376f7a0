"""A graph as the checks see it: its parts, and which of them are in doubt already."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentrag.core.channels import Channel
from agentrag.core.prompts import Prompt
from agentrag.core.template import Template
from agentrag.graph.spec import GraphSpec


@dataclass(frozen=True)
class Doubts:
    """Parts of a file that are known to be wrong already; nothing that could follow from them is told.

    Attributes:
        channels: Names whose declaration is wrong; they stand for anything.
        nodes: Names of nodes whose settings are wrong; they may read and write anything.
        slots: Model slots whose declaration is wrong.
        graphs: Graphs that could not be loaded.
        flow: True when steps, inputs or outputs are missing, so that nothing is known about paths.
    """

    channels: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()
    graphs: frozenset[str] = frozenset()
    flow: bool = False


@dataclass(frozen=True)
class Graph:
    """A graph as the checks see it."""

    spec: GraphSpec
    doubts: Doubts
    channels: dict[str, Channel]
    prompts: dict[tuple[str, str], Prompt] = field(default_factory=dict)

    def reads(self, name: str) -> set[str]:
        """Channels that must have a value before node `name`; holes that the node fills itself are not among them."""
        item = self.spec.nodes[name]
        holes: set[str] = set()
        for setting, _ in item.references("prompt"):
            if prompt := self.prompts.get((name, setting)):
                holes |= prompt.required
        for _, text in item.references("template"):
            holes |= Template(text).required
        return {*item.reads(), *(holes - item.fills)}
