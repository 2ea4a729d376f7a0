"""What goes into a collection and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentrag.core.types import Metadata, Scalar


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    Attributes:
        text: `document.text[start:end]`.
        page: From 1, where the format has pages.
        before: The text between the previous piece and this one, where it is known (white space that cutting dropped).
            Without it two pieces that do not touch are never joined.
    """

    text: str
    start: int
    end: int
    page: int | None = None
    heading: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document about to be stored.

    Attributes:
        source: What it is known by; a document with the same source replaces the earlier one.
        fingerprint: Hash of the content and of what else decides the passages.
        record: The id that a corpus file gave to it; "" for other documents.
        metadata: What `where` conditions can ask for, beside source, title, record and page.
    """

    source: str
    fingerprint: str
    title: str = ""
    record: str = ""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A complete document of a collection. `characters` is where its last passage ends."""

    source: str
    fingerprint: str
    title: str
    passages: int
    characters: int


def index_text(title: str, heading: str, text: str) -> str:
    """Write the text that is embedded and indexed: a passage alone rarely names what it is about.

    >>> index_text("Ferries", "", "Boats leave at noon.")
    'Ferries. Boats leave at noon.'
    """
    return ". ".join(part for part in (title, heading, text) if part)


def filterable(metadata: Metadata, source: str, title: str, record: str, page: int | None) -> dict[str, Scalar]:
    """List what `where` conditions of a search can ask for; a document's own keys never hide the four built-in ones."""
    fields: dict[str, Scalar] = {**metadata, "source": source}
    if title:
        fields["title"] = title
    if record:
        fields["record"] = record
    if page is not None:
        fields["page"] = page
    return fields
