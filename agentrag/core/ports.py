"""What the inside asks of the outside, as Protocols. Each port has one conformance suite over all its back ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from agentrag.core.calls import OutwardCall
from agentrag.core.types import ChatRequest, Completion, Metadata, Passage, SearchRequest

Vectors = NDArray[np.float32]
OnText = Callable[[str], None]
T = TypeVar("T")


@runtime_checkable
class ChatModel(Protocol):
    """A model that answers a conversation."""

    @property
    def name(self) -> str:
        """Stable identity for journals and tables, e.g. "llamacpp/qwen2.5-coder-1.5b-instruct"."""
        ...

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`; with `on_text` the reply is streamed and each new piece of text is handed to it.

        Raises:
            ModelError: The call failed, after the retries that the client itself makes.
        """
        ...

    async def aclose(self) -> None:
        """Free what the client holds. Calling it twice is allowed."""
        ...


@runtime_checkable
class Startable(Protocol):
    """A model that takes long to start."""

    async def start(self) -> None:
        """Start it, where it does not run yet; nothing is asked and nothing paid.

        Raises:
            ModelError: It does not start.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """Texts to unit vectors."""

    @property
    def name(self) -> str:
        """Stable identity, including what changes the vectors; part of the vector cache's key."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of one vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), dimensions); every row has length 1."""
        ...


class VectorStore(Protocol):
    """Nearest neighbours by cosine over (id, vector, metadata)."""

    def add(self, ids: Sequence[str], vectors: Vectors, metadatas: Sequence[Metadata]) -> None:
        """Insert or replace. `vectors` has shape (len(ids), d) with rows of length 1."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove; unknown ids are ignored."""
        ...

    def search(self, vector: Vectors, k: int, where: Mapping[str, Any] | None = None) -> list[tuple[str, float]]:
        """Return up to `k` (id, cosine in -1..1), best first, ties by id. `vector` has shape (d,)."""
        ...

    def ids(self) -> set[str]:
        """All ids that the index can really find."""
        ...

    def close(self) -> None:
        """Release files and locks. Calling it twice is allowed."""
        ...


class LexicalIndex(Protocol):
    """BM25 over (id, text)."""

    def build(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Replace the whole index."""
        ...

    def search(self, query: str, k: int, allowed: frozenset[str] | None = None) -> list[tuple[str, float]]:
        """Return up to `k` (id, score > 0), best first, ties by id; `allowed` restricts the ids."""
        ...


class Searcher(Protocol):
    """What fills a collection slot of a graph."""

    @property
    def name(self) -> str:
        """Name of the collection."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the content or the embedder changes; part of the key under which searches are reused."""
        ...

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Return up to `request.k` passages, best first."""
        ...


class Codec(Protocol[T]):
    """How a call's result becomes JSON text and comes back."""

    def dump_json(self, value: T, /) -> bytes: ...

    def validate_json(self, data: bytes, /) -> T: ...


@dataclass(frozen=True, slots=True)
class Recorded(Generic[T]):
    """The result of an outward call.

    Attributes:
        value: What the call returned.
        seconds: Wall time it took when it was made.
        reused: It was answered from the record, and not made now.
    """

    value: T
    seconds: float
    reused: bool


RunStatus = Literal["running", "finished", "failed", "cancelled", "paused"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a journal keeps of a run besides its calls.

    Attributes:
        run: Its id. Beginning a run whose id is known resumes it.
        graph: Name of the graph.
        ref: Where the graph can be loaded from again: a path or a shipped name; "" for graphs made in Python.
        tenant: Whose run it is.
        inputs: All inputs as JSON data, defaults filled in.
        parts: Hex sha256 of each part of the graph by its path: "inputs", "nodes.search", "flow",
            "prompts.answer/grounded", "graphs.sub-questions.flow" ...
        sources: Texts from which the graph can be built again: "graph" (canonical YAML), "prompts.answer/grounded" ...
            Empty where a node's type has no registered name.
        options: How it was started, as JSON data: bindings by model slot ("models"), names by collection slot
            ("collections").
        parent: The run that it was forked from; its answers are taken where the same call is made again.
        cut: Path of a step of the parent: calls made at it and after it are not taken over.
    """

    run: str
    graph: str
    ref: str = ""
    tenant: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    cut: str | None = None


class Journal(Protocol):
    """The record of what runs did: their outward calls, what was decided, how they ended."""

    def begin(self, record: RunRecord) -> None:
        """Begin a run, or go on with it where its id is known: finished calls will be answered and not made.

        Raises:
            RunBusyError: Another process, or another journal of this one, works on the run.
            StoreError: The journal cannot be used, or it does not know the parent.
        """
        ...

    def end(self, run: str, status: RunStatus, outputs: bytes | None = None, error: str = "") -> None:
        """Say how a run ended. `outputs` is JSON; all notes are durable afterwards."""
        ...

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record, or do `work` and record it before returning.

        Answered are: a call of the same position that finished before (resume, replay); an equal call of the parent (fork);
        an equal deterministic call of this run, or of any run where the journal was opened for reuse. A call that raises
        leaves no record. A "write" has its intent recorded before `work` begins.

        Raises:
            InDoubtError: A write was begun before and its result is not known.
            ReplayError: The journal only replays, and has no answer.
        """
        ...

    def name_of(self, call: OutwardCall) -> str:
        """Idempotency key to send with a write, from its `work`: the one under which it is recorded.

        It is `call.idempotency_key`, but for a write that the run does again for the run that it was forked from.
        """
        ...

    def settled(self, run: str, step: str) -> Any:
        """What was decided at a step by chance, by time or by a person, as JSON data; None where nothing was."""
        ...

    def settle(self, run: str, step: str, value: Any) -> bool:
        """Keep such a decision; it is durable when this returns, and never changed. False where one was kept before."""
        ...

    def note(self, run: str, step: str, kind: str, body: Mapping[str, Any]) -> None:
        """Keep something for people to read (a step's end, a branch taken) as JSON data; durable with the next call or end."""
        ...

    def noted(self, run: str, kind: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Step and body of the notes of one kind that earlier stretches of a run left, oldest first."""
        ...

    def close(self) -> None:
        """Release files. Calling it twice is allowed."""
        ...


RecordingKind = Literal["reformulation", "decomposition", "request"]


class Recordings(Protocol):
    """What was once written for one query of a data set, by language models or by people, to be used again.

    Nothing that the query is judged by is among it.
    """

    @property
    def name(self) -> str:
        """Name of the data set."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever what is recorded changes; part of the key under which answers are reused."""
        ...

    @property
    def query(self) -> str:
        """Id of the query that is asked."""
        ...

    def texts(self, kind: RecordingKind, method: str, model: str) -> list[str]:
        """What is recorded, one or more texts in the order of writing.

        Args:
            kind: "reformulation", "decomposition" (sub-questions; `#1` stands for the answer of the first) or "request"
                (what an agent asked for).
            method: How a reformulation was made, e.g. "query2doc-zs"; "" for the other kinds.
            model: Who wrote it: a model's name or the last part of it, "gpt-4.1" for "openai/gpt-4.1"; of requests the
                agent's; "" for decompositions.

        Raises:
            RecordingError: It is not recorded for this query; the message says what is.
            DataSetError: The file of recorded outputs is malformed.
        """
        ...
