"""What earlier runs of a graph say of the next one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from agentrag.graph.planning.figures import Figures, NodePlan, Plan
from agentrag.journal.past import Expected, Mean


def with_past(plan: Plan, past: Expected) -> Plan:
    """The plan with the means of earlier runs as what is expected, as far as the worst case allows.

    A node that those runs do not name cost nothing in them; what a node cost is shared out evenly where it stands at
    several steps. How many passages were found is not in the means: that stays as it was assumed.
    """
    steps = Counter(node.node for node in plan.nodes)
    nodes = tuple(_seen(node, past.nodes.get(node.node, Mean()), steps[node.node]) for node in plan.nodes)
    total = replace(_sum([node.expected for node in nodes]), passages=plan.expected.passages, seconds=past.wall)
    return replace(plan, expected=_within(total, plan.worst), nodes=nodes, runs=past.runs)


def _seen(node: NodePlan, mean: Mean, steps: int) -> NodePlan:
    tokens = mean.prompt_tokens + mean.completion_tokens
    parts = [part / steps for part in (mean.calls, tokens, mean.usd, mean.seconds)]
    calls, tokens, usd, seconds = parts
    figures = Figures(calls, node.expected.passages, tokens, usd, seconds)
    return replace(node, expected=_within(figures, node.worst))


def _within(figures: Figures, worst: Figures) -> Figures:
    return Figures(
        min(figures.calls, worst.calls),
        min(figures.passages, worst.passages),
        min(figures.tokens, worst.tokens),
        None if worst.usd is None or figures.usd is None else min(figures.usd, worst.usd),
        min(figures.seconds, worst.seconds),
    )


def _sum(parts: Sequence[Figures]) -> Figures:
    usd = [part.usd for part in parts if part.usd is not None]
    return Figures(
        sum(part.calls for part in parts),
        sum(part.passages for part in parts),
        sum(part.tokens for part in parts),
        sum(usd) if len(usd) == len(parts) else None,
        sum(part.seconds for part in parts),
    )
