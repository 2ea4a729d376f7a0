"""Public fakes: test your graphs and nodes without a model, a key or a network."""

from agentrag.testing.fakes import MemorySearcher, ScriptedModel, WordEmbedder, fake_deps, passages
from agentrag.testing.server import Fault, Reply, StubChatServer

__all__ = [
    "Fault",
    "MemorySearcher",
    "Reply",
    "ScriptedModel",
    "StubChatServer",
    "WordEmbedder",
    "fake_deps",
    "passages",
]
