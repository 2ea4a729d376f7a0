"""What can be wrong with what a person may answer: choices, and the JSON Schema of a reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentrag.graph.channels import Finding, Path
from agentrag.graph.checks.view import Graph
from agentrag.graph.steps import AskHuman, AskHumanSpec, walk
from agentrag.graph.values.replies import reply_type, schema_faults


def pauses(graph: Graph) -> Iterator[Finding]:
    """Yield what is wrong with the answers that questions to people ask for."""
    for path, step in walk(graph.spec.flow):
        if isinstance(step, AskHuman):
            yield from _choices(graph, step.ask_human, (*path, "ask_human"))
            if step.ask_human.schema_ is not None:
                yield from _schema(step.ask_human.schema_, (*path, "ask_human", "schema"))


def _choices(graph: Graph, asked: AskHumanSpec, path: Path) -> Iterator[Finding]:
    if asked.choices and asked.schema_ is not None:
        yield Finding((*path, "schema"), "`choices` and `schema` exclude each other; a schema may have an `enum`", key=True)
    channel = graph.channels.get(asked.out)
    for index, choice in enumerate(asked.choices if channel else ()):
        if channel and len(choice.encode()) > channel.bytes:
            told = f"has more bytes than the {channel.bytes} that channel '{asked.out}' may have"
            yield Finding((*path, "choices", index), told)


def _schema(schema: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    faults = list(schema_faults(schema))
    for below, message in faults:
        yield Finding((*path, *below), f"is no JSON Schema: {message:.300}")
    if not faults and reply_type(schema) is None:
        kinds = "string, integer, number, boolean, object, or array with `items: {type: string}`"
        yield Finding((*path, "type") if "type" in schema else path, f"a reply needs a `type` that a channel can hold: {kinds}")
