"""What a run of a graph will cost, before it runs: at best, as expected, at worst; in all, and node by node.

The worst case bounds calls, passages, tokens and seconds, because the run enforces what it rests on: the bounds of inputs
and channels, numbers of rounds, items and attempts, the time limits of nodes. Everything else is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf

from agentrag.core.node import Node
from agentrag.core.template import Template
from agentrag.graph.channels import channels_of, type_text
from agentrag.graph.planning.amounts import NOTHING, Amount, Bill
from agentrag.graph.planning.cases import Best, Ended, Expected, Worst
from agentrag.graph.planning.figures import Figures, NodePlan, Plan
from agentrag.graph.planning.past import with_past
from agentrag.graph.planning.prices import Price
from agentrag.graph.planning.spots import Standing
from agentrag.graph.planning.walk import reckoned
from agentrag.graph.spec import GraphSpec
from agentrag.graph.values.bounds import is_enforced
from agentrag.journal import past


def plan(spec: GraphSpec, prices: Mapping[str, Price], history: past.Expected | None = None) -> Plan:
    """Reckon what a run of a checked graph costs. Runs nothing; takes some milliseconds.

    Args:
        spec: The graph.
        prices: By model slot, see `agentrag.graph.planning.prices.prices_of`. The price of a slot that is not there is not
            known.
        history: Means of earlier runs of graphs of this name. Where there are some, they are what is expected.
    """
    worst, standing = reckoned(spec, Worst(), prices)
    best, expected = (reckoned(spec, case, prices)[0] for case in (Best(), Expected()))
    budget: dict[str, float] = dict(spec.budget.given()) if spec.budget and spec.budget.mode == "enforce" else {}
    least = _total(reckoned(spec, Ended(), prices)[0], standing) if budget else None
    doubts = dict.fromkeys([*_unpriced(standing, worst), *_unbounded(spec), *_too_small(budget, least)])
    made = Plan(
        graph=spec.name,
        best=_kept_to(budget, _total(best, standing)),
        expected=_kept_to(budget, _total(expected, standing)),
        worst=_kept_to(budget, _total(worst, standing)),
        nodes=tuple(_node(step, known, best, expected, worst) for step, known in standing.items()),
        doubts=tuple(doubts),
        budget=budget,
    )
    return made if history is None else with_past(made, history)


def _kept_to(budget: Mapping[str, float], figures: Figures) -> Figures:
    """What a run costs at most that keeps to a budget: calls and passages to the letter, the rest is estimated there."""
    calls, passages = (min(getattr(figures, unit), budget.get(unit, inf)) for unit in ("calls", "passages"))
    return replace(figures, calls=calls, passages=passages)


def _too_small(budget: Mapping[str, float], best: Figures | None) -> Iterator[str]:
    for unit, limit in budget.items():
        least = getattr(best, unit)
        if least is not None and unit != "seconds" and least > limit:
            yield f"the budget of {limit:g} {unit} is less than the {least:g} of the cheapest way: every run is a best effort"


def _node(step: str, known: Standing, best: Bill, expected: Bill, worst: Bill) -> NodePlan:
    times = round(worst.lines[step].times)
    return NodePlan(known.name, step, times, _line(best, step, known), _line(expected, step, known), _line(worst, step, known))


def _line(bill: Bill, step: str, known: Standing) -> Figures:
    amount = bill.lines.get(step, NOTHING)
    return _figures(amount, priced=not (amount.tokens and known.has_unknown_price))


def _total(bill: Bill, standing: Mapping[str, Standing]) -> Figures:
    return _figures(bill.total, priced=all(_line(bill, step, known).usd is not None for step, known in standing.items()))


def _figures(amount: Amount, priced: bool) -> Figures:
    calls, passages, tokens = (_plain(number) for number in (amount.calls, amount.passages, amount.tokens))
    return Figures(calls, passages, tokens, round(amount.usd, 9) if priced else None, round(amount.seconds, 3))


def _plain(number: float) -> float:
    """A whole number as such, others to two places."""
    return int(number) if number == int(number) else round(number, 2)


def _unpriced(standing: Mapping[str, Standing], worst: Bill) -> Iterator[str]:
    for step, known in standing.items():
        if worst.lines[step].tokens and known.has_unknown_price:
            if not known.prices:
                yield f"node '{known.name}' asks a model and names no slot, so its price is not known"
            for slot, price in known.prices.items():
                if not price.known:
                    who = f" ('{price.binding}')" if price.binding else ""
                    yield f"the price of the model in slot '{slot}'{who} is not known"


def _unbounded(spec: GraphSpec) -> Iterator[str]:
    """Yield values without a known length that prompts and templates show."""
    channels = channels_of(spec)
    for name, item in spec.nodes.items():
        for hole in sorted(_holes(spec, item) & channels.keys()):
            if not is_enforced(channels[hole]):
                kind = type_text(channels[hole].type)
                yield f"node '{name}' shows channel '{hole}', and values of type {kind} have no known length"
    for inner in spec.graphs.values():
        yield from _unbounded(inner)


def _holes(spec: GraphSpec, item: Node) -> set[str]:
    templates = [Template(text) for _, text in item.references("template")]
    for _, prompt in item.references("prompt"):
        templates += [template for _, template in spec.prompts[prompt].sections]
    return {hole.name for template in templates for hole in template.holes} - item.fills
