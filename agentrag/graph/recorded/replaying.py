"""Back ends for a replay: stand-ins for models and collections that are never asked, because the record answers first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic_core import from_json, to_json

from agentrag.core.calls import OutwardCall
from agentrag.core.deps import Binding, Deps, Origin
from agentrag.core.errors import ReplayError
from agentrag.core.ports import Codec, OnText, Recorded, RunRecord, Vectors
from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import rebinds_of
from agentrag.journal.past import PastCall
from agentrag.journal.replay import ReplayJournal

T = TypeVar("T")


def replay_deps(spec: GraphSpec, record: RunRecord, journal: RecordedAnswers) -> Deps:
    """What a recorded run needs to run again without any model, collection or network; `spec` is its graph as it was."""
    return Deps(
        models={slot: _Absent(slot) for slot in spec.slots},
        collections={slot: _Absent(slot) for slot in spec.collection_slots},
        prompts=spec.prompts,
        journal=journal,
        embedder=_Absent("default"),
        run=record.run,
        tenant=record.tenant,
        origin=Origin(options=_reporting(record.options) if journal.counted else record.options),
        bindings={name: Binding(_Absent(name)) for name in rebinds_of(spec)},
    )


def _reporting(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a run was started, but that its budget is only reported: all was paid for, and the record has all refusals."""
    return {**options, "budget": {**(options.get("budget") or {}), "mode": "audit"}}


class RecordedAnswers(ReplayJournal):
    """Answers the calls of one recorded run where nothing but the record says whom they asked.

    A run that was resumed with other back ends may have asked several for the same; the later ones count.

    Args:
        source: The journal's file.
        run: Id of the recorded run.
        calls: Its calls.

    Raises:
        StoreError: The file is no journal, or does not know the run.
    """

    def __init__(self, source: Path, run: str, calls: Iterable[PastCall]) -> None:
        super().__init__(source, run)
        self._asked: dict[tuple[str, str], list[PastCall]] = {}
        for call in calls:
            self._asked.setdefault((call.step, call.kind), []).insert(0, call)

    async def call(self, call: OutwardCall, work: Callable[[], Awaitable[T]], codec: Codec[T]) -> Recorded[T]:
        """Answer from the record; `work` is never called.

        Raises:
            ReplayError: The record has no answer.
            StoreError: The journal cannot be read.
        """
        missing = ReplayError(call.step, call.kind, call.target)
        for target in self._targets(call):
            try:
                return await super().call(replace(call, target=target), work, codec)
            except ReplayError as error:
                missing = error
        raise missing

    def _targets(self, call: OutwardCall) -> Iterator[str]:
        """Yield whom the call may have asked, first those whom the call with its number in the step asked."""
        known = self._asked.get((call.step, call.kind), [])
        ordered = sorted(known, key=lambda past: past.ordinal != call.ordinal)
        yield from dict.fromkeys(past.target for past in ordered)


def differences(recorded: bytes, replayed: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Outputs that are not the recorded bytes: what was recorded and what is now, as JSON data, by name."""
    now = to_json(replayed)
    if now == recorded:
        return {}
    before, after = from_json(recorded), from_json(now)
    names = [*before, *(name for name in after if name not in before)]
    differing = {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
    return differing or {"": (list(before), list(after))}  # the same values in another order


@dataclass(frozen=True, slots=True)
class _Absent:
    """A model, a collection or an embedder that cannot answer, known by the name of its slot."""

    name: str
    version: str = ""
    dimensions: int = 0

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        self._refuse()

    async def search(self, request: SearchRequest) -> list[Passage]:
        self._refuse()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._refuse()

    async def aclose(self) -> None:
        """Nothing is held."""

    def _refuse(self) -> NoReturn:
        raise ReplayError("", "", self.name)
