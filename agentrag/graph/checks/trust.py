"""Untrusted text where a prompt takes an instruction, also through the graphs that a graph runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentrag.core.channels import Channel
from agentrag.core.node import Node
from agentrag.core.prompts import Prompt
from agentrag.graph.channels import channels_of, foreign_inputs, untrusted
from agentrag.graph.memo import once_a_graph
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import SubGraph, walk


def steering(item: Node, prompt: Prompt, table: Mapping[str, Channel]) -> Iterator[str]:
    """Yield the holes of a prompt that take an instruction and get untrusted text: from a channel, or from the node itself."""
    for hole, trust in prompt.header.inputs.items():
        text = hole not in item.instructs if hole in item.fills else untrusted(table, hole)
        if trust == "instruction" and text:
            yield hole


@once_a_graph
def is_steered(spec: GraphSpec, foreign: frozenset[str]) -> bool:
    """Whether a right graph takes text as an instruction when these inputs of it are untrusted."""
    table = channels_of(spec, foreign)
    for item in spec.nodes.values():
        for _, name in item.references("prompt"):
            if any(True for _ in steering(item, spec.prompts[name], table)):
                return True
    steps = [step.graph for _, step in walk(spec.flow) if isinstance(step, SubGraph)]
    inner = [(spec.graphs[step.use], step) for step in steps if step.use in spec.graphs]
    return any(is_steered(graph, foreign_inputs(graph, step, table)) for graph, step in inner)
