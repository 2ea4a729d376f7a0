"""The node types that ship with agentrag, one idea per file; importing this package registers them."""

from agentrag.nodes import abstain, cite, condense, evidence, generate, judge, retrieve

__all__ = ["abstain", "cite", "condense", "evidence", "generate", "judge", "retrieve"]
