"""The contract of a node: frozen settings, one `__call__`, declared channels, a known cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.registry import Registry
from agentrag.core.sizes import Calls, Size, Sizes
from agentrag.core.template import Template


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

    A node returns only what it changes, mutates nothing, and touches the world only through `deps`. `timeout`, `retry` and
    `out` are settings of every node; the interpreter obeys them, and `__call__` and `writes` know nothing of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: float = Field(600.0, gt=0, le=86400, description="seconds that one attempt may take")
    retry: int = Field(0, ge=0, le=10, description="at most this many more attempts after an error that may pass")
    out: Mapping[str, str] = Field(default_factory=dict, description="write a channel under another name: {passages: lexical}")

    version: ClassVar[int] = 1
    """Raise it when the behaviour changes: a run that began with another version is not resumed."""

    channels: ClassVar[Mapping[str, Channel]] = {}
    """Channels that this node type brings besides the standard ones."""

    fills: ClassVar[frozenset[str]] = frozenset()
    """Holes of its prompts and templates that it fills itself, e.g. with one passage at a time: with untrusted text."""

    instructs: ClassVar[frozenset[str]] = frozenset()
    """Those of `fills` that it fills with settings of its own, so that they may be instructions."""

    foreign: ClassVar[bool] = False
    """Whether what it writes is untrusted, whatever its channels say."""

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
        """Upper bound of the outward calls of one attempt; never below what the journal sees."""
        return Calls()

    def least(self, sizes: Sizes) -> Calls:
        """Lower bound of the outward calls of one attempt that ends well; `cost` where a node has no cheaper way."""
        return self.cost(sizes)

    def limits(self, sizes: Sizes) -> Mapping[str, Size]:
        """Most that it writes to a channel of `writes()`, where that is less than the channel's own bound."""
        return {}

    def keeps(self) -> Mapping[str, tuple[str, int]]:
        """Settings that say how many items of a channel it keeps or looks at: channel and number, by the setting's name."""
        return {}

    @property
    def targets(self) -> frozenset[str]:
        """The channels that it writes in its graph: those of `writes()`, renamed by `out`."""
        return frozenset(self.out.get(name, name) for name in self.writes())

    def references(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield (field, value) of every setting marked as a reference of this kind."""
        for name, info in type(self).model_fields.items():
            value: Any = getattr(self, name)
            if value is not None and any(isinstance(mark, Reference) and mark.kind == kind for mark in info.metadata):
                yield name, value


node: Registry[type[Node]] = Registry("node")
"""All node types by the name that `use:` takes."""
