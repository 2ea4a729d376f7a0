"""Channels that several node types write: what a question becomes before it is searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, repeat

from agentrag.core.channels import Channel, State

MOST_VARIANTS = 8
"""Variants of one question."""
MOST_PARTS = 8
"""Sub-questions of one question."""

VARIANTS: Mapping[str, Channel] = {
    "queries": Channel(
        list[str], max=MOST_VARIANTS + 1, untrusted=True, about="the question and variants of it, one query each"
    ),
    **{
        f"variant_{number}": Channel(str, untrusted=True, about=f"variant {number} of the question, as a query")
        for number in range(1, MOST_VARIANTS + 1)
    },
}

PARTS: Mapping[str, Channel] = {
    "sub_questions": Channel(
        list[str], max=MOST_PARTS, untrusted=True, about="what has to be known for an answer, as questions"
    )
}


def variant_names(n: int) -> list[str]:
    """The channels of so many variants, in order."""
    return [f"variant_{number}" for number in range(1, n + 1)]


def spread(question: str, variants: Iterable[str], n: int) -> State:
    """Write `queries` and `variant_1` .. `variant_<n>`: the question again where there are fewer than `n` variants.

    >>> spread("q", ["a"], 2)
    {'queries': ['q', 'a'], 'variant_1': 'a', 'variant_2': 'q'}
    """
    kept = list(variants)[:n]
    return {"queries": [question, *kept], **dict(zip(variant_names(n), chain(kept, repeat(question)), strict=False))}
