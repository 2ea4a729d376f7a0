"""A plan as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run costs, or a node in it. Fractions are means.

    Attributes:
        calls: Outward calls, further attempts included.
        passages: Passages that searches return.
        tokens: Of prompts and answers.
        usd: None where models are asked whose prices are not known.
        seconds: Active time: of a run its longest way, of a node all its turns one after the other.
    """

    calls: float
    passages: float
    tokens: float
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node at one step of the flow.

    Attributes:
        node: Its name; before that of an inner graph's node stands the graph's: "inner/search".
        step: Path of the step as in a run, without rounds and items.
        times: Most often that it runs, further attempts not counted.
    """

    node: str
    step: str
    times: int
    best: Figures
    expected: Figures
    worst: Figures


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a graph costs.

    Attributes:
        nodes: In the order of the flow.
        runs: Of how many earlier runs the expected figures are the means; 0 where they rest on assumptions.
        doubts: What is not known, one line each: prices, and lengths of values that prompts show.
        budget: The graph's limits by unit, without those that only are reported on. In calls and passages the worst case of
            the run keeps to them.
    """

    graph: str
    best: Figures
    expected: Figures
    worst: Figures
    nodes: tuple[NodePlan, ...]
    runs: int = 0
    doubts: tuple[str, ...] = ()
    budget: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return asdict(self)

    def heaviest(self, figure: str, count: int = 3) -> list[tuple[NodePlan, float]]:
        """The nodes that weigh most in a figure of the worst case, heaviest first, with that figure."""
        weights = [(node, getattr(node.worst, figure) or 0.0) for node in self.nodes]
        heavy = sorted((pair for pair in weights if pair[1]), key=lambda pair: -pair[1])
        return heavy[:count]
