"""The node types that ship with agentrag, one idea per file; importing this package registers them."""

from agentrag.nodes import (
    abstain,
    cite,
    compose,
    condense,
    decompose,
    evidence,
    expand,
    generate,
    grade,
    judge,
    recorded,
    retrieve,
    rewrite,
)

__all__ = [
    "abstain",
    "cite",
    "compose",
    "condense",
    "decompose",
    "evidence",
    "expand",
    "generate",
    "grade",
    "judge",
    "recorded",
    "retrieve",
    "rewrite",
]
