"""How large values can get, and what a call over them can cost at most: what `agentrag plan` reckons with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from agentrag.core.prompts import Prompts
from agentrag.core.template import Template

CALL_TOKENS = 128
"""Most tokens that a chat format adds to a call around its messages, a default system message included."""
MESSAGE_TOKENS = 16
"""Most tokens that a chat format adds around one message."""
LABEL_BYTES = 1024
"""Most bytes of a passage's title and heading together."""
ITEM_BYTES = 16
"""Most bytes that a prompt adds to an item of a list: its number, the speaker, line ends."""
UNBOUNDED = 2**53
"""No bound of its own; whole numbers up to here are exact in JSON everywhere."""


@dataclass(frozen=True, slots=True)
class Size:
    """Bound of a channel's value.

    Attributes:
        items: Most items of a list; 1 for other values.
        bytes: Most UTF-8 bytes of one item as it is rendered, with what rendering adds to it.
        whole: Most bytes of all items together, where that is less than `items` times `bytes`.
    """

    items: int = 1
    bytes: int = UNBOUNDED
    whole: int = UNBOUNDED

    @property
    def total(self) -> int:
        """Most bytes of the whole value as it is rendered."""
        return min(self.items * self.bytes, self.whole)


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


@dataclass(frozen=True, slots=True)
class Scale:
    """How text is reckoned: as what it can be at most, usually, or at least.

    Attributes:
        token: UTF-8 bytes of a token.
        character: UTF-8 bytes of a character.
        label: Bytes of a passage's title and heading together.
        call, message: Tokens that a chat format adds to a call, and to each of its messages.
        broken: One byte more for every so many, by which the signs of chat formats are broken; 0 for none.
    """

    token: float
    character: int
    label: int
    call: int
    message: int
    broken: int = 0


MOST = Scale(1.0, 4, LABEL_BYTES, CALL_TOKENS, MESSAGE_TOKENS, broken=3)
"""No tokenizer makes more tokens of a text than it has UTF-8 bytes; the shortest sign, `<s>`, has three."""
USUAL = Scale(4.4, 1, 40, 16, 8)
"""English prose in the tokens of common models."""
LEAST = Scale(10.0, 1, 0, 0, 0)
"""No tokenizer in use puts more prose into its tokens."""


@dataclass(frozen=True)
class Sizes:
    """Bounds of the channels where a node stands.

    With the scale `MOST`, all numbers are bounds; with the others they are what is usual, or the least. In the least case
    no channel has a value.
    """

    table: Mapping[str, Size]
    prompts: Prompts
    scale: Scale = MOST

    @property
    def sure(self) -> bool:
        """Whether the numbers must be bounds."""
        return self.scale == MOST

    def size(self, channel: str) -> Size:
        """Bound of a channel; no item where nothing wrote it."""
        return self.table.get(channel, Size(0))

    def items(self, channel: str) -> int:
        """Most items of a channel; 0 where nothing wrote it."""
        return self.size(channel).items

    def bytes(self, channel: str) -> int:
        """Most bytes of a channel's whole value in a prompt; 0 where nothing wrote it."""
        return self.shown(self.size(channel).total)

    def item(self, channel: str) -> int:
        """Most bytes of one item of a channel in a prompt; 0 where nothing wrote it."""
        size = self.size(channel)
        return self.shown(min(size.bytes, size.total))

    def shown(self, rendered: int) -> int:
        """Most bytes in a prompt of a value that has so many when it is rendered."""
        return rendered + rendered // self.scale.broken if self.scale.broken else rendered

    def template(self, text: str) -> int:
        """Most bytes of a filled template in a prompt."""
        template = Template(text)
        filled = sum(self.size(hole.name).total for hole in template.holes)
        return self.shown(len(_bare(template).encode()) + filled)

    def prompt(self, name: str, **filled: int) -> int:
        """Most tokens of a filled prompt; `filled` gives the bytes of holes that the node fills itself."""
        size = 0
        sections = self.prompts[name].sections
        for _, template in sections:
            bare = _bare(template)
            size += len((bare if self.sure else bare.strip()).encode())
            size += sum(filled.get(hole.name, self.bytes(hole.name)) for hole in template.holes)
        return self.scale.call + self.scale.message * len(sections) + ceil(size / self.scale.token)


def _bare(template: Template) -> str:
    """The text between the holes."""
    return template.fill(dict.fromkeys((hole.name for hole in template.holes), ""))
