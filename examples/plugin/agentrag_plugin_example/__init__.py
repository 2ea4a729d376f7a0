"""A plugin for agentrag: one node, one measure, one join."""
