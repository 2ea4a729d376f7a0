"""The channels of one graph: standard ones, those that its node types bring, its inputs, and its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentrag.core.channels import INPUT_TYPES, STANDARD, Channel
from agentrag.core.errors import unknown
from agentrag.graph.spec import ChannelSpec, GraphSpec, use_of

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


def channels_of(spec: GraphSpec) -> dict[str, Channel]:
    """All channels that the graph knows, by name. Conflicts are for `conflicts` to tell; here the first one wins."""
    table = dict(STANDARD)
    for item in spec.nodes.values():
        for name, channel in item.channels.items():
            table.setdefault(name, channel)
    for name, given in spec.inputs.items():
        table.setdefault(name, Channel(INPUT_TYPES[given.type], about=given.about))
    for name, declared in spec.channels.items():
        if base := table.get(name) or (Channel(INPUT_TYPES[declared.type]) if declared.type else None):
            table[name] = _declared(base, declared)
    return table


def _declared(base: Channel, spec: ChannelSpec) -> Channel:
    return replace(
        base,
        merge=spec.merge or base.merge,
        max=base.max if spec.max is None else spec.max,
        untrusted=base.untrusted or spec.untrusted,  # a graph cannot make untrusted text trusted
        about=spec.about or base.about,
    )


def conflicts(spec: GraphSpec) -> Iterator[Finding]:
    """Yield every channel that two places declare with different types, and declarations that make no sense."""
    owners: dict[str, tuple[Any, str]] = {name: (channel.type, "every graph") for name, channel in STANDARD.items()}
    for name, item in spec.nodes.items():
        for channel, declared in item.channels.items():
            yield from _claim(owners, channel, declared.type, f"node type '{use_of(item)}'", ("nodes", name))
    for channel, given in spec.inputs.items():
        yield from _claim(owners, channel, INPUT_TYPES[given.type], "the graph's inputs", ("inputs", channel))
    for channel, spec_ in spec.channels.items():
        if spec_.type is not None:
            yield from _claim(owners, channel, INPUT_TYPES[spec_.type], "the graph's channels", ("channels", channel))
        elif channel not in owners:
            yield Finding(("channels", channel), unknown("channel", channel, owners) + " A new channel needs a type.", key=True)
    for channel, known in channels_of(spec).items():
        if channel in spec.channels and not is_list(known.type):
            yield from _list_only(channel, spec.channels[channel], known.type)


def _claim(owners: dict[str, tuple[Any, str]], channel: str, kind: Any, owner: str, path: Path) -> Iterator[Finding]:
    there, who = owners.setdefault(channel, (kind, owner))
    if there != kind and Any not in (there, kind):
        yield Finding(path, f"channel '{channel}' is {type_text(kind)} for {owner} but {type_text(there)} for {who}", key=True)


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
