"""What can be evaluated, with its back ends open: a graph, or a plain retriever, over the corpus of a data set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.core.deps import Deps
from agentrag.core.errors import DataSetError, UnknownNameError
from agentrag.core.ports import Journal, Searcher, Startable
from agentrag.core.prompts import Prompts
from agentrag.core.settings import Settings
from agentrag.core.types import SearchRequest
from agentrag.evaluation.asking.ask import Answered, Ask
from agentrag.evaluation.asking.graphs import answering, check_inputs, signals_of
from agentrag.evaluation.asking.plain import PlainBm25
from agentrag.evaluation.asking.retrievers import PLAIN, RETRIEVERS, Depth, retriever
from agentrag.evaluation.data.corpus import corpus_collection, uncut
from agentrag.evaluation.data.dataset import DataSet, Query, Question
from agentrag.evaluation.data.fields import fed, refuse_gold_inputs
from agentrag.evaluation.data.halves import digest
from agentrag.evaluation.data.recordings import RecordedOutputs
from agentrag.evaluation.folder.environment import digest_of, model_hashes
from agentrag.evaluation.setup import Setup
from agentrag.graph.inputs import inputs_from_texts
from agentrag.graph.recorded.manifest import Manifest
from agentrag.ingest.pipeline import Options, Progress
from agentrag.journal.memory import MemoryJournal
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.embed import open_embedder

_DIGITS = 16
"""Hex digits of a question's digest in the id of its run."""
Ingesting = Callable[[Progress], None]


async def _nothing() -> None:
    """Nothing takes long to start."""


@dataclass(frozen=True)
class System:
    """What is evaluated.

    Attributes:
        asking: From a journal and the id of the evaluation to what answers a question.
        about: What is to be known of it beside its setup: hashes, models, collection.
        sources: Texts that its graph can be built from again; none of a retriever.
        pays: Whether its calls cost something, so that they are to be recorded.
        warm: Starts what takes long to start, so that the first question is not charged for it.
    """

    asking: Callable[[Journal, str], Ask]
    about: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)
    pays: bool = False
    warm: Callable[[], Awaitable[None]] = _nothing


@asynccontextmanager
async def open_system(
    setup: Setup, given: str | Graph, data: DataSet, queries: Sequence[Query], settings: Settings, watch: Ingesting
) -> AsyncIterator[System]:
    """Open what a setup names; the corpus of the data set fills every collection slot.

    Args:
        setup: Says how.
        given: The graph, or the name that the setup says.
        data: Its corpus becomes a collection, where it is none yet.
        queries: All that will be asked.
        settings: Say where collections and models are.
        watch: Told how far the building of the collection is.

    Raises:
        DataSetError: The data set is wrong, or the graph cannot be asked its questions.
        SpecError, SettingsError, CatalogueError, StoreError: The graph or its back ends cannot be had.
    """
    if isinstance(given, str) and given in RETRIEVERS:
        opening = _retriever(setup, data, settings, watch)
    else:
        graph = given if isinstance(given, Graph) else _loaded(given)
        opening = _graph(setup, graph, data, queries, settings, watch)
    async with opening as system:
        yield system


def _loaded(name: str) -> Graph:
    try:
        return Graph.load(name)
    except UnknownNameError as error:
        if error.kind != "graph" or "/" in name or name.endswith((".yaml", ".yml")):
            raise
        raise UnknownNameError("graph or retriever", name, {*error.known, *RETRIEVERS}) from error


@asynccontextmanager
async def _retriever(setup: Setup, data: DataSet, settings: Settings, watch: Ingesting) -> AsyncIterator[System]:
    if setup.models or setup.fields:
        raise DataSetError(f"'{setup.system}' is a plain retriever: it takes no models and no fields.")
    depth = Depth.of(setup.system, setup.inputs)
    if setup.system == PLAIN:
        plain = PlainBm25(data)
        yield _searching(setup.system, plain, depth, {})
        return
    name = await _collection(setup, data, settings, watch)
    with closing(Collections(settings, open_embedder(settings)).open(name)) as searcher:
        embedder = {} if setup.system == "bm25" else {"embedder": settings.embedder}
        yield _searching(setup.system, searcher, depth, _models(embedder, settings))


def _searching(name: str, searcher: Searcher, depth: Depth, models: Mapping[str, Any]) -> System:
    def asking(journal: Journal, run: str) -> Ask:
        return retriever(name, Deps({}, {"docs": searcher}, Prompts(), journal, run=run), depth)

    async def warm() -> None:
        await searcher.search(SearchRequest("?", k=1, mode=RETRIEVERS[name]))

    about = {"system": {"kind": "retriever", "name": name, **depth.as_json()}, "models": models, "collection": _of(searcher)}
    return System(asking, about, warm=warm)


@asynccontextmanager
async def _graph(
    setup: Setup, graph: Graph, data: DataSet, queries: Sequence[Query], settings: Settings, watch: Ingesting
) -> AsyncIterator[System]:
    spec = graph.spec
    inputs = inputs_from_texts(spec, setup.inputs)
    filled = fed(queries, setup.fields)
    needed = [name for name, declared in spec.inputs.items() if declared.required and name not in inputs]
    refuse_gold_inputs(spec.name, needed, queries)
    check_inputs(spec, inputs, setup.fields)
    slots = spec.collection_slots
    names = dict.fromkeys(slots, await _collection(setup, data, settings, watch)) if slots else {}
    manifest, outputs, signals = Manifest.of(spec), RecordedOutputs(data.folder), signals_of(spec)
    async with open_deps(graph, settings, models=setup.models, collections=names, journal=MemoryJournal()) as deps:

        def asking(journal: Journal, run: str) -> Ask:
            async def ask(question: Question) -> Answered:
                own = deps.but(
                    journal=journal, run=f"{run}.{digest(question.id)[:_DIGITS]}", recordings=outputs.of(question.id)
                )
                values = {**inputs, **filled[question.id]}
                return await answering(partial(graph.run, own), spec.inputs, values, signals)(question)

            return ask

        async def warm() -> None:
            if deps.embedder is not None:
                await deps.embedder.embed(["?"])
            for model in deps.models.values():
                if isinstance(model, Startable):
                    await model.start()

        models = {slot: model.name for slot, model in sorted(deps.models.items())}
        models |= {"embedder": settings.embedder} if slots else {}
        about = {
            "system": {"kind": "graph", "name": spec.name, "ref": graph.ref, "sha256": digest_of(manifest.parts)},
            "models": _models(models, settings),
            "collection": {slot: _of(searcher) for slot, searcher in sorted(deps.collections.items())},
            "signals": dict(signals),
        }
        yield System(asking, about, manifest.sources, pays=True, warm=warm)


async def _collection(setup: Setup, data: DataSet, settings: Settings, watch: Ingesting) -> str:
    options = Options.of(settings, prune=True)
    return await corpus_collection(data, settings, open_embedder(settings), uncut(options) if setup.whole else options, watch)


def _models(names: Mapping[str, str], settings: Settings) -> dict[str, Any]:
    return {"names": dict(names), "sha256": model_hashes(names, settings)}


def _of(searcher: Searcher) -> dict[str, str]:
    return {"name": searcher.name, "version": searcher.version}
