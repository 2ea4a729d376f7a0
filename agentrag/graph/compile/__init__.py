"""The boundary to LangGraph: every run is one run of a compiled LangGraph graph.

The only package that imports langgraph. docs/decisions/0001-langgraph-boundary.md and 0003-steps-export.md say why it looks
as it does.
"""

from __future__ import annotations

import os

# Before langgraph is imported: traces go to LangSmith only where the user asked for it, and checkpoints hold no other
# types than those of the state schema.
os.environ.setdefault("LANGSMITH_TRACING", "false")
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from agentrag.graph.compile.steps import compile_steps
from agentrag.graph.compile.whole import NODE, Compiled, compile_graph, stream_run

__all__ = ["NODE", "Compiled", "compile_graph", "compile_steps", "stream_run"]
