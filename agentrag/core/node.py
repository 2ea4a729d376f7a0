"""The contract of a node: frozen settings, one `__call__`, declared channels, a known cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.registry import Registry
from agentrag.core.template import Template

Sizes = Mapping[str, int]
"""Largest number of items (list channels) or of anything else a node's cost depends on, by channel name."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Most outward calls that one execution of a node makes."""

    model: int = 0
    search: int = 0
    embed: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """Marks a node setting that names something outside the node: a "model" slot, a "collection" slot or a "prompt"."""

    kind: str


def _well_formed(text: str) -> str:
    if not Template(text).holes and not text.strip():
        raise ValueError("is empty")
    return text


ModelSlot = Annotated[str, Reference("model")]
CollectionSlot = Annotated[str, Reference("collection")]
PromptName = Annotated[str, Reference("prompt")]
TemplateText = Annotated[str, AfterValidator(_well_formed), Reference("template")]


class Node(BaseModel):
    """A step's behaviour. Fields are its settings in YAML; instances are frozen and hold no state.

    A node returns only what it changes, mutates nothing, and touches the world only through `deps`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: ClassVar[Mapping[str, Channel]] = {}
    """Channels that this node type brings besides the standard ones."""

    fills: ClassVar[frozenset[str]] = frozenset()
    """Holes of its prompts and templates that it fills itself, e.g. with one passage at a time."""

    def reads(self) -> frozenset[str]:
        """Channels that must have a value. Holes of prompts and templates are added by the graph's check."""
        return frozenset()

    def writes(self) -> frozenset[str]:
        """Channels that it always writes."""
        raise TypeError(f"{type(self).__name__} must say what it writes")

    async def __call__(self, state: State, deps: Deps) -> State:
        """Return new values of the channels in `writes()`."""
        raise TypeError(f"{type(self).__name__} must say what it does")

    def cost(self, sizes: Sizes) -> Calls:
        """Upper bound of the outward calls of one execution."""
        return Calls()

    def references(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield (field, value) of every setting marked as a reference of this kind."""
        for name, info in type(self).model_fields.items():
            value: Any = getattr(self, name)
            if value is not None and any(isinstance(mark, Reference) and mark.kind == kind for mark in info.metadata):
                yield name, value


node: Registry[type[Node]] = Registry("node")
"""All node types by the name that `use:` takes."""
