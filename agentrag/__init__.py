"""agentrag: a state-graph runtime for agentic RAG.

>>> import agentrag                               # loads nothing heavy: names below are imported at first use
>>> sorted(set(agentrag.__all__) & {"Graph", "Node"})
['Graph', 'Node']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrag.app import Graph, Result, open_deps
    from agentrag.core.errors import AgentRagError
    from agentrag.core.node import Node, node
    from agentrag.core.settings import Settings, load_settings
    from agentrag.core.types import Citation, Message, Passage
    from agentrag.graph.python import choose

_HOMES = {
    "AgentRagError": "agentrag.core.errors",
    "Citation": "agentrag.core.types",
    "Graph": "agentrag.app",
    "Message": "agentrag.core.types",
    "Node": "agentrag.core.node",
    "Passage": "agentrag.core.types",
    "Result": "agentrag.app",
    "Settings": "agentrag.core.settings",
    "choose": "agentrag.graph.python",
    "load_settings": "agentrag.core.settings",
    "node": "agentrag.core.node",
    "open_deps": "agentrag.app",
}

__all__ = [
    "AgentRagError",
    "Citation",
    "Graph",
    "Message",
    "Node",
    "Passage",
    "Result",
    "Settings",
    "choose",
    "load_settings",
    "node",
    "open_deps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentrag' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
