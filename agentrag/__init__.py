"""agentrag: a state-graph runtime for agentic RAG.

>>> import agentrag                               # loads nothing heavy: names below are imported at first use
>>> sorted(set(agentrag.__all__) & {"Graph", "Node"})
['Graph', 'Node']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrag.app import Graph, Result
    from agentrag.back_ends import open_deps
    from agentrag.core.errors import AgentRagError
    from agentrag.core.node import Node, node
    from agentrag.core.settings import Settings, load_settings
    from agentrag.core.types import Citation, Message, Passage
    from agentrag.evaluations import Evaluation, compare, evaluate, load_evaluation
    from agentrag.graph.cel.measures import measure
    from agentrag.graph.compile.checkpoints import open_checkpointer
    from agentrag.graph.forms.python import ask_human, choose, each, parallel, repeat, return_, seq, subgraph
    from agentrag.graph.mount import mount
    from agentrag.graph.values.joins import join
    from agentrag.runs import Runs
    from agentrag.threads import Thread
    from agentrag.variation import Changes

_HOMES = {
    "AgentRagError": "agentrag.core.errors",
    "Changes": "agentrag.variation",
    "Citation": "agentrag.core.types",
    "Evaluation": "agentrag.evaluations",
    "Graph": "agentrag.app",
    "Message": "agentrag.core.types",
    "Node": "agentrag.core.node",
    "Passage": "agentrag.core.types",
    "Result": "agentrag.app",
    "Runs": "agentrag.runs",
    "Settings": "agentrag.core.settings",
    "Thread": "agentrag.threads",
    "ask_human": "agentrag.graph.forms.python",
    "choose": "agentrag.graph.forms.python",
    "compare": "agentrag.evaluations",
    "each": "agentrag.graph.forms.python",
    "evaluate": "agentrag.evaluations",
    "join": "agentrag.graph.values.joins",
    "load_evaluation": "agentrag.evaluations",
    "load_settings": "agentrag.core.settings",
    "measure": "agentrag.graph.cel.measures",
    "mount": "agentrag.graph.mount",
    "node": "agentrag.core.node",
    "open_checkpointer": "agentrag.graph.compile.checkpoints",
    "open_deps": "agentrag.back_ends",
    "parallel": "agentrag.graph.forms.python",
    "repeat": "agentrag.graph.forms.python",
    "return_": "agentrag.graph.forms.python",
    "seq": "agentrag.graph.forms.python",
    "subgraph": "agentrag.graph.forms.python",
}

__all__ = [
    "AgentRagError",
    "Changes",
    "Citation",
    "Evaluation",
    "Graph",
    "Message",
    "Node",
    "Passage",
    "Result",
    "Runs",
    "Settings",
    "Thread",
    "ask_human",
    "choose",
    "compare",
    "each",
    "evaluate",
    "join",
    "load_evaluation",
    "load_settings",
    "measure",
    "mount",
    "node",
    "open_checkpointer",
    "open_deps",
    "parallel",
    "repeat",
    "return_",
    "seq",
    "subgraph",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentrag' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
