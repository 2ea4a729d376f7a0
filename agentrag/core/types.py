"""The data that flows between nodes, models and stores. All of it is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scalar = str | int | float | bool
Metadata = Mapping[str, Scalar]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved piece of text with its source. Its text is untrusted: it may fill data holes only.

    Attributes:
        id: Unique inside its collection.
        text: Exactly `document.text[start:end]` of the source's extracted text.
        source: What the document is known by: an absolute path, or the id of a record in a corpus file.
        start, end: Half-open character offsets into the extracted text of `source`.
        page: Page number from 1, where the format has pages.
        heading: The headings above the passage, outermost first, joined by " > ".
        score: Larger is better; comparable inside one result only.
        collection: Name of the collection it came from.
        record: The id that a corpus file gave to it; "" for other documents.
    """

    id: str
    text: str
    source: str
    start: int = 0
    end: int = 0
    title: str = ""
    page: int | None = None
    heading: str = ""
    score: float = 0.0
    collection: str = ""
    record: str = ""
    metadata: Metadata = field(default_factory=dict)

    @property
    def slice(self) -> tuple[str, str, int, int]:
        """Which characters of which passage it is: slices of one passage, such as evidence, are not the same."""
        return self.collection, self.id, self.start, self.end


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim's evidence: `quote` is `text[start:end]` of the extracted text of `source`, checked when it was made."""

    n: int
    source: str
    page: int | None
    heading: str
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, its natural-log probability, and the likeliest tokens at its place, best first."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls cost. Adds up with `+`.

    Attributes:
        calls: Outward calls made (a reused call counts 0).
        prompt_tokens, completion_tokens: As the server reports them.
        cached_tokens: The part of `prompt_tokens` that the server answered from its prompt cache.
        seconds: Wall time of the calls, summed over concurrent ones too.
        usd: Money, 0.0 for local models.
        reused: Calls answered by the journal without being made.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    reused: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.seconds + other.seconds,
            self.usd + other.usd,
            self.reused + other.reused,
        )

    def lasting(self, seconds: float) -> Usage:
        """The same, with the time that it took."""
        tokens = (self.prompt_tokens, self.completion_tokens, self.cached_tokens)
        return Usage(self.calls, *tokens, seconds, self.usd, self.reused)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a chat model.

    Attributes:
        messages: The conversation, oldest first.
        max_tokens: Upper bound of generated tokens, >= 1. Mandatory: a call without a bound has no known cost.
        temperature: 0.0 is greedy.
        stop: Strings that end the generation; they are not part of the text.
        schema: JSON Schema that the reply must satisfy; None for free text.
        logprobs: How many likeliest tokens to return per generated token; 0 returns no log-probabilities.
        seed: For sampled generations.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    logprobs: int = 0
    seed: int | None = None

    def data(self) -> dict[str, Any]:
        """The request as JSON data. Cost: 1 us, where `asdict` takes 17."""
        turns = [{"role": turn.role, "content": turn.content} for turn in self.messages]
        return {name: turns if name == "messages" else getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a chat model answered.

    Attributes:
        finish: "stop" (the model ended, or a stop string came) or "length" (cut at max_tokens).
        tokens: One entry per generated token where the request asked for log-probabilities, else empty.
        model: Name of the model that answered, as the server reports it.
    """

    text: str
    finish: str = "stop"
    usage: Usage = Usage()
    tokens: tuple[TokenLogprob, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search in one collection.

    Attributes:
        query: What is sent to the retriever.
        k: At most this many passages, >= 1.
        mode: "dense" (cosine of embeddings), "lexical" (BM25), "rrf" or "convex" (fusions of the two).
        where: Metadata conditions in Chroma's form, e.g. {"lang": "en"} or {"year": {"$gte": 2020}}; None for all.
        neighbours: Widen each hit by this many passages of the same document on either side.
        weight: Convex fusion only: weight of the lexical score, 0..1; None takes the collection's default.
        depth: Fusions only: how many candidates of each side are fused, >= 1; None: max(50, 4 k).
    """

    query: str
    k: int = 5
    mode: Literal["dense", "lexical", "rrf", "convex"] = "convex"
    where: Mapping[str, Any] | None = None
    neighbours: int = 0
    weight: float | None = None
    depth: int | None = None

    def data(self) -> dict[str, Any]:
        """The request as JSON data; without a depth it reads as before there was one, so that recorded answers are found."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "depth" or self.depth is not None}
