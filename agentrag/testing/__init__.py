"""Public fakes: test your graphs and nodes without a model, a key or a network."""

from agentrag.testing.fakes import MemorySearcher, ScriptedModel, WordEmbedder, fake_deps, passages

__all__ = ["MemorySearcher", "ScriptedModel", "WordEmbedder", "fake_deps", "passages"]
