"""GraphSpec: what a graph file says, as data. Whether it makes sense is for `agentrag.graph.checks`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    InstanceOf,
    SerializeAsAny,
    StrictInt,
    Tag,
)
from pydantic_core import PydanticCustomError

from agentrag.core.channels import INPUT_TYPES, Merge
from agentrag.core.errors import unknown
from agentrag.core.located import SAID, Path
from agentrag.core.node import Node, node
from agentrag.core.prompts import Prompts

LANGUAGE = 1
STEPS = frozenset({"choose"})
_BOOLEANS = frozenset({"yes", "no", "on", "off", "true", "false", "null"})


def _version(number: int) -> int:
    if number != LANGUAGE:
        known = f"this runtime knows version {LANGUAGE} of the graph language"
        raise ValueError(f"{known}; a newer file needs a newer agentrag")
    return number


def _type_name(name: str) -> str:
    if name not in INPUT_TYPES:
        raise PydanticCustomError(SAID, "{text}", {"text": unknown("type", name, INPUT_TYPES)})
    return name


def _identifier(name: str) -> str:
    if not re.fullmatch("[a-z_][a-z0-9_]*", name):
        raise ValueError("a channel is named by lower-case letters, digits and '_'")
    return _unmistakable(name)


def _label(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_-]*", name):
        raise ValueError("a name begins with a lower-case letter; letters, digits, '-' and '_' follow")
    return _unmistakable(name)


def _unmistakable(name: str) -> str:
    if name in _BOOLEANS:
        raise ValueError("YAML tools read this word as a truth value; take another name")
    return name


def _short_input(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


TypeName = Annotated[str, AfterValidator(_type_name)]
ChannelName = Annotated[str, AfterValidator(_identifier)]
Label = Annotated[str, AfterValidator(_label)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Part):
    """An input of a graph. `style: str` is short for `style: {type: str}`.

    Attributes:
        type: A name of `agentrag.core.channels.INPUT_TYPES`.
        default: What a run takes that does not give it; without one the input must be given.
        values: All values that are allowed; any of the type where None.
    """

    type: TypeName
    default: Any = None
    values: tuple[Any, ...] | None = None
    about: str = ""

    @property
    def required(self) -> bool:
        """True when a run must give it."""
        return "default" not in self.model_fields_set


class ChannelSpec(_Part):
    """What a graph says of a channel; what it leaves out stays as the node types declare it."""

    type: TypeName | None = None
    merge: Merge | None = None
    max: Annotated[StrictInt, Field(ge=1)] | None = None
    untrusted: bool = False
    about: str = ""


def _step_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<node>"
    if isinstance(value, Choose) or (isinstance(value, Mapping) and "choose" in value):
        return "<choose>"
    return None


def _known_step(value: Any) -> Any:
    if isinstance(value, Mapping) and value and not STEPS & value.keys():
        raise PydanticCustomError(SAID, "{text}", {"text": unknown("step", str(next(iter(value))), STEPS)})
    return value


def _branch_kind(value: Any) -> str:
    other = isinstance(value, Otherwise) or (isinstance(value, Mapping) and "otherwise" in value and "when" not in value)
    return "<otherwise>" if other else "<when>"


Step = Annotated[
    Annotated[Label, Tag("<node>")] | Annotated["Choose", Tag("<choose>")],
    Discriminator(_step_kind, custom_error_type="step", custom_error_message="a step is a node name or `choose: [...]`"),
    BeforeValidator(_known_step),
]


class When(_Part):
    """A branch that is taken when its condition is true and none before it was."""

    when: str
    do: tuple[Step, ...]


class Otherwise(_Part):
    """The branch that is taken when no condition was true."""

    otherwise: tuple[Step, ...]


Branch = Annotated[
    Annotated[When, Tag("<when>")] | Annotated[Otherwise, Tag("<otherwise>")],
    Discriminator(_branch_kind),
]


class Choose(_Part):
    """Take the first branch whose condition is true; the last branch is `otherwise`."""

    choose: tuple[Branch, ...]


class GraphSpec(_Part):
    """A graph: header, declarations, nodes and flow.

    Attributes:
        models: Binding names by model slot.
        nodes: Nodes with their settings, by name.
        prompts: Where the graph's prompts are found; not part of the file.
    """

    agentrag: Annotated[StrictInt, AfterValidator(_version)]
    name: Label
    about: str = ""
    source: str = ""
    inputs: dict[ChannelName, Annotated[InputSpec, BeforeValidator(_short_input)]]
    outputs: tuple[ChannelName, ...]
    channels: dict[ChannelName, ChannelSpec] = Field(default_factory=dict)
    models: dict[Label, str] = Field(default_factory=dict)
    nodes: dict[Label, SerializeAsAny[InstanceOf[Node]]]
    flow: tuple[Step, ...]
    prompts: Prompts = Field(default_factory=Prompts, exclude=True, repr=False)

    @property
    def collection_slots(self) -> frozenset[str]:
        """The collection slots that its nodes name."""
        return frozenset(slot for item in self.nodes.values() for _, slot in item.references("collection"))


def known_keys(path: Path) -> list[str]:
    """Keys that the language knows in the mapping at `path`, outside of nodes."""
    if not path:
        return sorted(GraphSpec.model_fields.keys() - {"prompts"})
    if path[0] in ("inputs", "channels"):
        return sorted((InputSpec if path[0] == "inputs" else ChannelSpec).model_fields)
    inside_choose = len(path) > 1 and path[-2] == "choose"
    return ["do", "otherwise", "when"] if inside_choose else sorted(STEPS)


def walk(steps: tuple[Step, ...], path: tuple[str | int, ...] = ("flow",)) -> Iterator[tuple[tuple[str | int, ...], Step]]:
    """Yield every step of a flow with its path in the file, in file order, inner steps after their `choose`."""
    for index, step in enumerate(steps):
        place = (*path, index)
        yield place, step
        if isinstance(step, Choose):
            for number, branch in enumerate(step.choose):
                key, inner = ("do", branch.do) if isinstance(branch, When) else ("otherwise", branch.otherwise)
                yield from walk(inner, (*place, "choose", number, key))


def use_of(item: Node) -> str:
    """The name under which the node's type is registered; its class name where it is not."""
    return next((name for name, kind in node.items() if kind is type(item)), type(item).__name__)
