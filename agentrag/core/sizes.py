"""How large values can get, and what a call over them can cost at most: what `agentrag plan` reckons with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentrag.core.prompts import Prompts
from agentrag.core.template import Template

CALL_TOKENS = 128
"""Most tokens that a chat format adds to a call around its messages, a default system message included."""
MESSAGE_TOKENS = 16
"""Most tokens that a chat format adds around one message."""


@dataclass(frozen=True, slots=True)
class Size:
    """Bound of a channel's value.

    Attributes:
        items: Most items of a list; 1 for other values.
        bytes: Most UTF-8 bytes of one item as it is written into a prompt.
    """

    items: int = 1
    bytes: int = 0

    @property
    def total(self) -> int:
        """Most bytes of the whole value in a prompt."""
        return self.items * self.bytes


@dataclass(frozen=True, slots=True)
class Calls:
    """What one attempt of a node can cost. Adds up with `+`, multiplies with `*`.

    Attributes:
        model, search, embed, other: Outward calls by kind.
        passages: Passages that the searches return.
        prompt, completion: Tokens over all its model calls.
    """

    model: int = 0
    search: int = 0
    embed: int = 0
    other: int = 0
    passages: int = 0
    prompt: int = 0
    completion: int = 0

    @property
    def total(self) -> int:
        """Outward calls of all kinds."""
        return self.model + self.search + self.embed + self.other

    def __add__(self, other: Calls) -> Calls:
        return Calls(*(getattr(self, name) + getattr(other, name) for name in Calls.__slots__))

    def __mul__(self, times: int) -> Calls:
        return Calls(*(getattr(self, name) * times for name in Calls.__slots__))


@dataclass(frozen=True)
class Sizes:
    """Bounds of the channels where a node stands.

    No tokenizer makes more tokens of a text than it has UTF-8 bytes, so a bound in bytes bounds tokens too.
    """

    table: Mapping[str, Size]
    prompts: Prompts

    def items(self, channel: str) -> int:
        """Most items of a channel; 0 where nothing wrote it."""
        return self.table.get(channel, Size(0)).items

    def bytes(self, channel: str) -> int:
        """Most bytes of a channel's whole value in a prompt; 0 where nothing wrote it."""
        return self.table.get(channel, Size(0)).total

    def template(self, text: str) -> int:
        """Most bytes of a filled template."""
        return len(text.encode()) + sum(self.bytes(hole.name) for hole in Template(text).holes)

    def prompt(self, name: str, **filled: int) -> int:
        """Most tokens of a filled prompt; `filled` gives the bytes of holes that the node fills itself."""
        sections = self.prompts[name].sections
        tokens = CALL_TOKENS + MESSAGE_TOKENS * len(sections)
        for _, template in sections:
            tokens += len(template.text.encode())
            tokens += sum(filled.get(hole.name, self.bytes(hole.name)) for hole in template.holes)
        return tokens
