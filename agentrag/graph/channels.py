"""The channels of one graph: standard ones, those that its node types bring, its inputs, and its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentrag.core.channels import INPUT_TYPES, STANDARD, Channel
from agentrag.core.errors import unknown
from agentrag.graph.memo import once_a_graph
from agentrag.graph.spec import ChannelSpec, GraphSpec, use_of
from agentrag.graph.steps import AskHuman, Each, EachSpec, Return, SubGraph, SubGraphSpec, walk
from agentrag.graph.values.replies import reply_type

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a graph.

    Attributes:
        path: Where, as keys and indices of the file.
        key: True when it is about the key at `path` and not about its value.
        offset: Which character of the text at `path` it is about, from 0.
    """

    path: Path
    message: str
    key: bool = False
    offset: int | None = None


NONE: frozenset[str] = frozenset()


@once_a_graph
def channels_of(spec: GraphSpec, foreign: frozenset[str] = NONE) -> Mapping[str, Channel]:
    """All channels that the graph knows, by name. Conflicts are for `conflicts` to tell; here the first one wins.

    Args:
        spec: The graph.
        foreign: Inputs that another graph fills with text of documents, tools or models.
    """
    table = _declared_types(spec)
    for name, declared in spec.channels.items():
        if name in table:
            table[name] = _declared(table[name], declared)
    for name in foreign:
        table[name] = replace(table[name], untrusted=True)
    while not _settled(spec, table):  # what one step brings may be what another takes, also above it in a loop
        pass
    return table


def _settled(spec: GraphSpec, table: dict[str, Channel]) -> bool:
    """Add what nodes and steps bring; False where that changed the table. It only grows, and trust is only lost."""
    settled = True
    for name, channel, _ in brought(spec, table):
        known = table.get(name)
        if known is None:
            declared = spec.channels.get(name)
            table[name] = _declared(channel, declared) if declared else channel
        elif channel.untrusted and not known.untrusted:  # another name does not make a text trusted
            table[name] = replace(known, untrusted=True)
        else:
            continue
        settled = False
    return settled


def _declared_types(spec: GraphSpec) -> dict[str, Channel]:
    table = dict(STANDARD)
    for item in spec.nodes.values():
        for name, channel in item.channels.items():
            table.setdefault(name, channel)
    for name, given in spec.inputs.items():
        table.setdefault(name, Channel(INPUT_TYPES[given.type], about=given.about))
    for name, declared in spec.channels.items():
        if declared.type:
            table.setdefault(name, Channel(INPUT_TYPES[declared.type]))
    return table


def _declared(base: Channel, spec: ChannelSpec) -> Channel:
    return replace(
        base,
        merge=spec.merge or base.merge,
        max=base.max if spec.max is None else spec.max,
        bytes=base.bytes if spec.bytes is None else spec.bytes,
        untrusted=base.untrusted or spec.untrusted,  # a graph cannot make untrusted text trusted
        about=spec.about or base.about,
    )


def brought(spec: GraphSpec, table: Mapping[str, Channel]) -> Iterator[tuple[str, Channel, Path]]:
    """Yield the channels that nodes and steps of the graph write under names of the graph's own choice.

    Each comes as it would be declared by where its values come from, with the place that names it.
    """
    for node, item in spec.nodes.items():
        for raw, name in item.out.items():
            if raw in table:
                yield name, table[raw], ("nodes", node, "out", raw)
        for name in sorted(item.targets) if item.foreign else ():
            if name in table:
                yield name, replace(table[name], untrusted=True), ("nodes", node)
    for path, step in walk(spec.flow):
        if isinstance(step, Each):
            yield from _of_each(step.each, table, (*path, "each"))
        elif isinstance(step, SubGraph):
            yield from _of_graph(spec, step.graph, table, (*path, "graph", "out"))
        elif isinstance(step, AskHuman):
            kind = reply_type(step.ask_human.schema_)
            yield step.ask_human.out, Channel(Any if kind is None else kind), (*path, "ask_human", "out")


def _of_each(each: EachSpec, table: Mapping[str, Channel], path: Path) -> Iterator[tuple[str, Channel, Path]]:
    if (listed := table.get(each.in_)) is not None and is_list(listed.type):
        inner = getattr(listed.type, "__args__", (Any,))
        yield each.as_, replace(listed, type=inner[0], merge="replace", max=None), (*path, "as")
    for source, target in each.collect.items():
        if (found := table.get(source)) is not None:
            flat = target in table and table[target].type == found.type and is_list(found.type)
            gathered = found if flat else replace(found, type=list[found.type], merge="replace", max=each.at_most)  # type: ignore[name-defined]  # a type made at run time
            yield target, gathered, (*path, "collect", source)


def _of_graph(
    spec: GraphSpec, step: SubGraphSpec, table: Mapping[str, Channel], path: Path
) -> Iterator[tuple[str, Channel, Path]]:
    if (inner := spec.graphs.get(step.use)) is not None:
        there = outputs_of(inner, foreign_inputs(inner, step, table))
        for output, name in step.out.items():
            if output in there:
                yield name, replace(there[output], merge="replace"), (*path, output)


def foreign_inputs(inner: GraphSpec, step: SubGraphSpec, table: Mapping[str, Channel]) -> frozenset[str]:
    """The inputs of a graph that a step fills with text of documents, tools or models."""
    return frozenset(name for name, channel in step.in_.items() if name in inner.inputs and untrusted(table, channel))


def outputs_of(spec: GraphSpec, foreign: frozenset[str] = NONE) -> Mapping[str, Channel]:
    """The outputs of a graph; one that a `return` takes from an untrusted channel is untrusted. Arguments as `channels_of`."""
    table = channels_of(spec, foreign)
    outputs = {name: table[name] for name in spec.outputs if name in table}
    for _, step in walk(spec.flow):
        for name, source in step.return_.items() if isinstance(step, Return) else ():
            if name in outputs and untrusted(table, source):
                outputs[name] = replace(outputs[name], untrusted=True)
    return outputs


def conflicts(spec: GraphSpec) -> Iterator[Finding]:
    """Yield every channel that two places declare with different types, and declarations that make no sense."""
    owners: dict[str, tuple[Any, str]] = {name: (channel.type, "every graph") for name, channel in STANDARD.items()}
    table = channels_of(spec)
    made = list(brought(spec, table))
    brought_names = {name for name, _, _ in made}
    for name, item in spec.nodes.items():
        for channel, declared in item.channels.items():
            yield from _claim(owners, channel, declared.type, f"node type '{use_of(item)}'", ("nodes", name))
    for channel, given in spec.inputs.items():
        yield from _claim(owners, channel, INPUT_TYPES[given.type], "the graph's inputs", ("inputs", channel))
    for channel, spec_ in spec.channels.items():
        if spec_.type is not None:
            yield from _claim(owners, channel, INPUT_TYPES[spec_.type], "the graph's channels", ("channels", channel))
        elif channel not in owners and channel not in brought_names:
            yield Finding(("channels", channel), unknown("channel", channel, owners) + " A new channel needs a type.", key=True)
    for channel, written, place in made:
        yield from _claim(owners, channel, written.type, "what is written to it here", place)
    for channel, known in table.items():
        if channel in spec.channels and not is_list(known.type):
            yield from _list_only(channel, spec.channels[channel], known.type)


def _claim(owners: dict[str, tuple[Any, str]], channel: str, kind: Any, owner: str, path: Path) -> Iterator[Finding]:
    there, who = owners.setdefault(channel, (kind, owner))
    if there != kind and Any not in (there, kind):
        yield Finding(
            path, f"channel '{channel}' is {type_text(kind)} for {owner} but {type_text(there)} for {who}", key=len(path) == 2
        )


def _list_only(channel: str, spec: ChannelSpec, kind: Any) -> Iterator[Finding]:
    if spec.max is not None:
        yield Finding(("channels", channel, "max"), f"channel '{channel}' is {type_text(kind)}; only lists have a bound")
    if spec.merge == "append_new":
        yield Finding(("channels", channel, "merge"), f"channel '{channel}' is {type_text(kind)}; only lists can append")


def is_list(kind: Any) -> bool:
    """True for `list` and `list[...]`."""
    return (getattr(kind, "__origin__", None) or kind) in (list, Any)


def type_text(kind: Any) -> str:
    """A type as people write it: "str", "list[Passage]"."""
    if inner := getattr(kind, "__args__", None):
        return f"{getattr(kind, '__name__', 'union')}[{', '.join(map(type_text, inner))}]"
    return getattr(kind, "__name__", str(kind))


def untrusted(table: Mapping[str, Channel], name: str) -> bool:
    """True when the text of the channel came from documents, tools or a model."""
    return name in table and table[name].untrusted
