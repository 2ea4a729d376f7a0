"""Settings made into back ends: the one place that names concrete models, collections and journals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from agentrag.core.budget import Purse
from agentrag.core.deps import Deps, Origin
from agentrag.core.errors import UnknownNameError
from agentrag.core.ports import ChatModel, Embedder, Journal, Searcher
from agentrag.core.settings import Settings, load_settings
from agentrag.graph.spec import GraphSpec

CollectionNames = Mapping[str, str | Sequence[str]]
EVERY_SLOT = "*"
"""Stands for every model slot."""


class Described(Protocol):
    """What has a graph's description, e.g. a `Graph`."""

    spec: GraphSpec


@asynccontextmanager
async def open_deps(
    graph: Described,
    settings: Settings | None = None,
    *,
    models: Mapping[str, str] | None = None,
    collections: CollectionNames | None = None,
    journal: Journal | None = None,
    tenant: str | None = None,
) -> AsyncIterator[Deps]:
    """Open the back ends that a graph needs; they serve any number of runs and close with the context.

    Args:
        graph: Whose slots are to be filled.
        settings: Read from agentrag.yaml and the environment where None.
        models: Binding names by slot, over those of the graph; the slot "*" stands for all of them.
        collections: Collection names by collection slot; several names are searched together. A slot that is not
            named takes the collection of its own name.
        journal: Where calls are recorded; `journal.sqlite` in the settings' home where None.
        tenant: Whose runs these back ends serve, "" for nobody's; the one that the settings name where None. It decides which
            collections and which cache are opened, which answers may be reused, and who pays.

    Raises:
        TenantError: It cannot be the name of a tenant.
        SettingsError, CatalogueError, StoreError: A binding, model or collection cannot be had.
    """
    settings = settings or load_settings()
    settings = settings.of_tenant(settings.tenant if tenant is None else tenant)
    _refuse_unknown("model slot", (models or {}).keys() - {EVERY_SLOT}, graph.spec.slots)
    _refuse_unknown("collection slot", collections or {}, graph.spec.collection_slots)
    async with AsyncExitStack() as stack:
        chat = await _open_models(stack, settings, graph.spec, models or {})
        searchers, embedder = _open_collections(stack, settings, graph.spec, collections or {})
        if journal is None:
            journal = _open_journal(settings)
            stack.callback(journal.close)
        origin = Origin(options={"models": dict(models or {}), "collections": dict(collections or {})})
        deps = Deps(chat, searchers, graph.spec.prompts, journal, embedder, tenant=settings.tenant, origin=origin)
        yield deps.but(purse=_open_purse(stack, settings))


async def _open_models(
    stack: AsyncExitStack, settings: Settings, spec: GraphSpec, given: Mapping[str, str]
) -> dict[str, ChatModel]:
    from agentrag.models.bind import Models  # lazy: brings the HTTP client

    bindings = {slot: given.get(slot, given.get(EVERY_SLOT, binding)) for slot, binding in spec.slots.items()}
    pool = await stack.enter_async_context(Models(settings))
    return {slot: pool.get(binding) for slot, binding in bindings.items()}


def _open_collections(
    stack: AsyncExitStack, settings: Settings, spec: GraphSpec, given: CollectionNames
) -> tuple[dict[str, Searcher], Embedder | None]:
    slots = spec.collection_slots
    if not slots:
        return {}, None
    from agentrag.retrieval.collections import Collections  # lazy: brings chromadb and onnxruntime
    from agentrag.retrieval.embed import open_embedder

    embedder = open_embedder(settings)
    library = Collections(settings, embedder)
    searchers: dict[str, Searcher] = {}
    for slot in sorted(slots):
        names = given.get(slot, slot)
        searcher = library.open(names) if isinstance(names, str) else library.joined(list(names))
        stack.callback(searcher.close)
        searchers[slot] = searcher
    return searchers, embedder


def _refuse_unknown(kind: str, given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _open_purse(stack: AsyncExitStack, settings: Settings) -> Purse | None:
    """What pays for the runs of the settings' tenant; None where these may cost any amount."""
    if settings.budget is None:
        return None
    from agentrag.journal.purse import FILE, TenantPurse

    purse = TenantPurse(settings.home / FILE, settings.tenant, settings.budget)
    stack.callback(purse.close)
    return purse


def _open_journal(settings: Settings) -> Journal:
    from agentrag.journal.sqlite import SqliteJournal

    return SqliteJournal(settings.home / "journal.sqlite")
