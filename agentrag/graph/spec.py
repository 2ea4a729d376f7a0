"""GraphSpec: what a graph file says, as data. Whether it makes sense is for `agentrag.graph.checks.names`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    InstanceOf,
    SerializeAsAny,
    StrictInt,
    Tag,
)
from pydantic_core import PydanticCustomError

from agentrag.core.chain import Chain, chained
from agentrag.core.channels import INPUT_TYPES, MOST_ITEMS, Merge
from agentrag.core.errors import unknown
from agentrag.core.located import SAID, Path
from agentrag.core.node import Node, node
from agentrag.core.prompts import Prompts
from agentrag.graph.ladder import RUNGS, BudgetSpec, Rung, limited
from agentrag.graph.parts import ChannelName, Label, Part
from agentrag.graph.steps import STEPS, AskHumanSpec, EachSpec, ParallelSpec, Quorum, RepeatSpec, Steps, SubGraphSpec

LANGUAGE = 1


def _version(number: int) -> int:
    if number != LANGUAGE:
        known = f"this runtime knows version {LANGUAGE} of the graph language"
        raise ValueError(f"{known}; a newer file needs a newer agentrag")
    return number


def _type_name(name: str) -> str:
    if name not in INPUT_TYPES:
        raise PydanticCustomError(SAID, "{text}", {"text": unknown("type", name, INPUT_TYPES)})
    return name


def _short_input(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _one_binding(name: str) -> str:
    if "," in name:
        raise ValueError(f"a chain is a list: [{', '.join(part.strip() for part in name.split(','))}]")
    return name


def _filling_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<binding>"
    return "<chain>" if isinstance(value, list | tuple) else None


Filling = Annotated[
    Annotated[str, AfterValidator(_one_binding), Tag("<binding>")] | Annotated[Chain, Tag("<chain>")],
    Discriminator(
        _filling_kind,
        custom_error_type=SAID,
        custom_error_message="a slot takes the name of a binding, or a list of names, each for where the one before it fails",
    ),
]
TypeName = Annotated[str, AfterValidator(_type_name)]


class InputSpec(Part):
    """An input of a graph. `style: str` is short for `style: {type: str}`.

    Attributes:
        type: str, int, float, bool, list[str], object or history.
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


class ChannelSpec(Part):
    """What a graph says of a channel; what it leaves out stays as the node types declare it.

    Attributes:
        type: One of the types of inputs; only a channel that nothing else declares needs it.
        merge: What a write does: "replace" the value, or "append_new" items of a list that are not there yet.
        max: Most items of a list.
        bytes: Most UTF-8 bytes of a text, or of each item of a list.
        untrusted: Its text may fill data holes of prompts only. A graph cannot make untrusted text trusted.
        about: What it holds, for people.
    """

    type: TypeName | None = None
    merge: Merge | None = None
    max: Annotated[StrictInt, Field(ge=1, le=MOST_ITEMS)] | None = None
    bytes: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    untrusted: bool = False
    about: str = ""


class GraphSpec(Part):
    """A graph: header, declarations, nodes and flow.

    Attributes:
        models: By model slot the name of a binding, or those of a chain: each takes over where the one before it fails.
        budget: The most that a run may cost; no limit where None.
        degrade: What to make cheaper, first rung first, when too little of the budget is left.
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
    models: dict[Label, Filling] = Field(default_factory=dict)
    budget: Annotated[BudgetSpec, AfterValidator(limited)] | None = None
    degrade: tuple[Rung, ...] = ()
    nodes: dict[Label, SerializeAsAny[InstanceOf[Node]]]
    flow: Steps
    prompts: Prompts = Field(default_factory=Prompts, exclude=True, repr=False)
    graphs: dict[str, GraphSpec] = Field(default_factory=dict, exclude=True, repr=False)

    @property
    def collection_slots(self) -> frozenset[str]:
        """The collection slots that its nodes, and those of the graphs it runs, name."""
        own = frozenset(slot for item in self.nodes.values() for _, slot in item.references("collection"))
        return own.union(*(inner.collection_slots for inner in self.graphs.values()))

    @property
    def slots(self) -> dict[str, str]:
        """Binding names by model slot, those of a chain as "remote,local".

        A slot of a graph that it runs takes the binding here where both have it.
        """
        slots: dict[str, str] = {}
        for inner in self.graphs.values():
            slots = {**inner.slots, **slots}
        return {**slots, **{slot: chained(names) for slot, names in self.models.items()}}


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "inputs": InputSpec,
    "channels": ChannelSpec,
    "budget": BudgetSpec,
    "repeat": RepeatSpec,
    "parallel": ParallelSpec,
    "each": EachSpec,
    "graph": SubGraphSpec,
    "ask_human": AskHumanSpec,
    "wait": Quorum,
}


def known_keys(path: Path) -> list[str]:
    """Keys that the language knows in the mapping at `path`, outside of nodes."""
    if not path:
        return sorted(GraphSpec.model_fields.keys() - {"prompts", "graphs"})
    if path[0] in ("inputs", "channels", "budget"):
        return _keys(_SECTIONS[path[0]])
    if path[0] == "degrade":
        return sorted(RUNGS)
    if len(path) > 1 and path[-2] == "choose":
        return ["do", "otherwise", "when"]
    last = str(path[-1])
    return _keys(_SECTIONS[last]) if last in _SECTIONS else sorted(STEPS)


def _keys(part: type[BaseModel]) -> list[str]:
    return sorted(info.alias or name for name, info in part.model_fields.items())


def use_of(item: Node) -> str:
    """The name under which the node's type is registered; its class name where it is not."""
    return next((name for name, kind in node.items() if kind is type(item)), type(item).__name__)


def prompts_of(spec: GraphSpec) -> list[str]:
    """Names of the prompts that the graph's nodes use, sorted."""
    return sorted({name for item in spec.nodes.values() for _, name in item.references("prompt")})
