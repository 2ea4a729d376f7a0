"""Deps: the one way for a node to touch the world. Every call goes through the journal and is told to who listens."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import time
from types import MappingProxyType
from typing import Any, TypeVar

from agentrag.core.account import Account, Hold
from agentrag.core.budget import Purse, Rate, Spend
from agentrag.core.calls import CallKind, Effect, OutwardCall
from agentrag.core.codecs import COMPLETION, NUMBER, PASSAGES, TEXTS, VECTORS, WHOLE
from agentrag.core.errors import BudgetError, RecordingError, UnknownNameError
from agentrag.core.events import CallFinished, Event, Token
from agentrag.core.metering import Metered, keep_refused, need_of, raise_refused
from agentrag.core.ports import ChatModel, Codec, Embedder, Journal, Recorded, RecordingKind, Recordings, Searcher, Vectors
from agentrag.core.prompts import Prompts
from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest, Usage

T = TypeVar("T")


_AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})


def _ignore(event: Event) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a run came to be; see `agentrag.core.ports.RunRecord`, whose fields these are."""

    ref: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """A model that a slot can be bound to while a run lasts, and what it costs."""

    model: ChatModel
    rate: Rate | None = None


@dataclass(frozen=True)
class Deps:
    """What a run may use, and from which step.

    Attributes:
        models: Chat models by slot.
        collections: Collections by slot.
        embedder: Embeds texts for nodes that compare them; None where nothing needs it.
        prompts: Prompt files by name.
        journal: Records outward calls and may answer them.
        listen: Called with every event, in order, in the event loop; must not block.
        run, step, node: Where in which run these deps are used.
        tenant: Whose run it is; recorded answers are reused inside one tenant only.
        origin: How the run was started, for its record.
        out: Names under which the node's channels are written; see `Node.out`.
        rates: What the models of slots cost; needed where a budget counts money.
        bindings: Further models by the names of their bindings, to which `degrade` can bind slots anew.
        recordings: Recorded outputs for the query of a data set that is asked; None elsewhere.
        purse: Pays for the run besides its own budget, such as that of its tenant.
        account: The run's budget while it runs; None where nothing is counted.
        hold: What is set aside for the fan-out around.
    """

    models: Mapping[str, ChatModel]
    collections: Mapping[str, Searcher]
    prompts: Prompts
    journal: Journal
    embedder: Embedder | None = None
    listen: Callable[[Event], None] = _ignore
    run: str = ""
    step: str = ""
    node: str = ""
    tenant: str = ""
    origin: Origin = Origin()
    out: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    recordings: Recordings | None = None
    purse: Purse | None = None
    account: Account | None = None
    hold: Hold | None = None
    _ordinals: count[int] = field(default_factory=count, repr=False, compare=False)
    _made: dict[bytes, int] = field(default_factory=dict, repr=False, compare=False)
    _flying: set[asyncio.Task[Any] | None] = field(default_factory=set, repr=False, compare=False)

    def at(self, step: str, node: str, out: Mapping[str, str] = _AS_THEY_ARE) -> Deps:
        """The same deps as used by one attempt of one step."""
        if self.account is None:
            return self.but(step=step, node=node, out=out, _ordinals=count(), _made={})
        return self.but(step=step, node=node, out=out, _ordinals=count(), _made={}, _flying=set())

    def but(self, **changes: Any) -> Deps:
        """The same deps with other values of some fields. Cost: 1 us; `replace` would take ten times that, at every step."""
        deps = object.__new__(Deps)
        deps.__dict__.update(self.__dict__, **changes)
        return deps

    async def chat(self, slot: str, request: ChatRequest, stream_to: str | None = None) -> Completion:
        """Ask the model of a slot; with `stream_to` its text is told piece by piece as a draft of that channel.

        Raises:
            ModelError: The call failed.
            UnknownNameError: No model fills the slot.
        """
        model = _pick("model slot", self.models, slot)

        call = self._call("chat", model.name, request.data(), deterministic=request.temperature == 0.0)
        rate = self.rates.get(slot)
        metered = self._metered(call, lambda: need_of(request, rate), rate)

        def tell(text: str) -> None:
            if metered is not None:
                metered.begun = True
            self.listen(Token(self.step, self.out.get(stream_to, stream_to), text))  # type: ignore[arg-type]  # there is one

        async def work() -> Completion:
            return await model.complete(request) if stream_to is None else await model.complete(request, tell)

        return await self._done(call, work, COMPLETION, _usage, metered)

    async def search(self, slot: str, request: SearchRequest) -> list[Passage]:
        """Search the collection of a slot.

        Raises:
            StoreError: The collection cannot serve.
            UnknownNameError: No collection fills the slot.
        """
        searcher = _pick("collection slot", self.collections, slot)
        call = self._call("search", f"{searcher.name}@{searcher.version}", request.data())
        metered = self._metered(call, lambda: Spend(1, request.k))
        return await self._done(call, lambda: searcher.search(request), PASSAGES, _one, metered)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32 of shape (len(texts), dimensions), rows of length 1.

        Raises:
            UnknownNameError: The run has no embedder.
        """
        embedder = self.embedder
        if embedder is None:
            raise UnknownNameError("embedder", "default", ())

        call = self._call("embed", embedder.name, {"texts": list(texts)})
        return await self._done(call, lambda: embedder.embed(texts), VECTORS, _one, self._metered(call))

    async def tool(
        self, target: str, request: dict[str, Any], work: Callable[[str], Awaitable[T]], codec: Codec[T], effect: Effect
    ) -> T:
        """Make any other call that reads or changes the world; `work` is handed an idempotency key to send along.

        A call of effect "write" has its intent recorded before `work` begins. Where a run is resumed and the result of a
        begun write is not known, it is not made again: a person must say what became of it.

        Args:
            target: Whom it asks, e.g. "mcp/calendar/create_event".
            request: What is asked, as JSON data without credentials.
            work: Makes the call.
            codec: Writes the result as JSON and reads it back, e.g. a pydantic TypeAdapter.
            effect: What it does to the world: "none" where equal requests have equal answers for ever.

        Raises:
            InDoubtError: See above.
        """
        call = self._call("tool", target, request, deterministic=effect == "none", effect=effect)
        return await self._done(call, lambda: work(self.journal.name_of(call)), codec, _one, self._metered(call))

    async def recorded(self, kind: RecordingKind, method: str = "", model: str = "") -> list[str]:
        """What is recorded for the query that is asked; arguments as `Recordings.texts`.

        Raises:
            RecordingError: It is not, or the run asks no query of a data set.
        """
        recordings = self.recordings
        if recordings is None:
            what = "recorded outputs belong to the queries of a data set"
            raise RecordingError(f"{what}: run this graph with `agentrag eval GRAPH --data DIR`")

        async def work(key: str) -> list[str]:
            return recordings.texts(kind, method, model)

        request = {"query": recordings.query, "kind": kind, "method": method, "model": model}
        return await self.tool(f"recorded/{recordings.name}@{recordings.version}", request, work, TEXTS, effect="none")

    async def now(self) -> float:
        """Seconds since 1970, UTC; a resumed or replayed run sees the time that it saw first."""

        async def work() -> float:
            return time()

        return await self._done(self._call("clock", "utc", {}, deterministic=False), work, NUMBER, lambda _: Usage())

    async def seed(self) -> int:
        """A random number, 0 <= n < 2**63, to seed a generator with; the same one when the run is resumed or replayed."""

        async def work() -> int:
            return secrets.randbits(63)

        return await self._done(self._call("random", "seed", {}, deterministic=False), work, WHOLE, lambda _: Usage())

    def _call(
        self, kind: CallKind, target: str, request: dict[str, Any], deterministic: bool = True, effect: Effect = "none"
    ) -> OutwardCall:
        place = (self.run, self.step, next(self._ordinals), kind, target, request)
        call = OutwardCall(*place, deterministic, effect, self.tenant)
        before = self._made.get(call.key, 0)
        self._made[call.key] = before + 1
        if before:
            call = OutwardCall(*place, deterministic, effect, self.tenant, nth=before)
        return call

    def _metered(
        self, call: OutwardCall, need: Callable[[], Spend] = lambda: Spend(1), rate: Rate | None = None
    ) -> Metered | None:
        return None if self.account is None else Metered(self.account, self.hold, call, need(), rate)

    async def _done(
        self,
        call: OutwardCall,
        work: Callable[[], Awaitable[T]],
        codec: Codec[T],
        usage_of: Callable[[T], Usage],
        metered: Metered | None = None,
    ) -> T:
        if metered is None:
            recorded = await self.journal.call(call, work, codec)
        else:
            recorded = await self._paid(call, metered, partial(metered.made, work, usage_of, self.journal), codec)
        cost = usage_of(recorded.value).lasting(recorded.seconds)
        paid, saved = (Usage(reused=1), cost) if recorded.reused else (cost, Usage())
        if metered is not None and recorded.reused:
            metered.account.recall(metered.place, metered.hold)
        self.listen(CallFinished(self.step, self.node, call.kind, call.target, paid, saved))
        return recorded.value

    async def _paid(
        self, call: OutwardCall, metered: Metered, make: Callable[[], Awaitable[T]], codec: Codec[T]
    ) -> Recorded[T]:
        raise_refused(self.journal, self.run, metered.place, self.step)
        task = asyncio.current_task()
        self._flying.add(task)
        try:
            return await self.journal.call(call, make, codec)
        except BudgetError as error:
            keep_refused(self.journal, self.run, metered.place, error)
            raise
        finally:
            self._flying.discard(task)

    async def land(self) -> None:
        """Cancel the calls that an attempt of a node has left behind, e.g. with `asyncio.gather`, and wait for their ends."""
        left = [task for task in self._flying if task is not None and task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _one(answered: Any) -> Usage:
    return Usage(calls=1)


def _usage(completion: Completion) -> Usage:
    return completion.usage


def _pick(kind: str, table: Mapping[str, T], name: str) -> T:
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(kind, name, table) from None
