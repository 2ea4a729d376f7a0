"""Settings made into back ends: the one place that names concrete models, collections and journals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agentrag.core.budget import Purse, Rate
from agentrag.core.chain import chained
from agentrag.core.deps import Binding, Deps, Origin
from agentrag.core.errors import SettingsError, UnknownNameError
from agentrag.core.located import Nowhere, load_yaml
from agentrag.core.ports import Embedder, Journal, Searcher
from agentrag.core.settings import Settings, load_settings
from agentrag.graph.loader import read_graph_text
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import rebinds_of, with_inner
from agentrag.telemetry.watched import watched

if TYPE_CHECKING:
    from agentrag.models.bind import Models

CollectionNames = Mapping[str, str | Sequence[str]]
ModelNames = Mapping[str, str | Sequence[str]]
"""By model slot the name of a binding, or a chain: a list of names, or one text such as "remote,local"."""
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
    models: ModelNames | None = None,
    collections: CollectionNames | None = None,
    journal: Journal | None = None,
    tenant: str | None = None,
    budget: Mapping[str, Any] | None = None,
) -> AsyncIterator[Deps]:
    """Open the back ends that a graph needs; they serve any number of runs and close with the context.

    Args:
        graph: Whose slots are to be filled.
        settings: Read from agentrag.yaml and the environment where None.
        models: Bindings and chains of them by slot, over those of the graph; the slot "*" stands for all of them.
        collections: Collection names by collection slot; several names are searched together. A slot that is not
            named takes the collection of its own name.
        journal: Where calls are recorded; `journal.sqlite` in the settings' home where None.
        tenant: Whose runs these back ends serve, "" for nobody's; the one that the settings name where None. It decides which
            collections and which cache are opened, which answers may be reused, and who pays.
        budget: The most that each run may cost, before what the graph says; see `Graph.stream`.

    Raises:
        TenantError: It cannot be the name of a tenant.
        SettingsError, CatalogueError, StoreError: A binding, model or collection cannot be had.
    """
    settings = settings or load_settings()
    settings = settings.of_tenant(settings.tenant if tenant is None else tenant)
    _refuse_unknown("model slot", (models or {}).keys() - {EVERY_SLOT}, graph.spec.slots)
    _refuse_unknown("collection slot", collections or {}, graph.spec.collection_slots)
    async with AsyncExitStack() as stack:
        given = {slot: chained(names) for slot, names in (models or {}).items()}
        slots = slot_bindings(graph, settings, given)
        pool = await _open_pool(stack, settings)
        chat = {slot: pool.get(binding) for slot, binding in slots.items()}
        searchers, embedder = _open_collections(stack, settings, graph.spec, collections or {})
        if journal is None:
            journal = _open_journal(settings)
            stack.callback(journal.close)
        options = {"models": given, "collections": dict(collections or {})} | ({"budget": dict(budget)} if budget else {})
        deps = Deps(chat, searchers, graph.spec.prompts, journal, embedder, tenant=settings.tenant)
        deps = deps.but(origin=Origin(options=options), purse=_open_purse(stack, settings))
        rates, rebinds = _rates(graph.spec, settings, slots, deps), _rebinds(graph.spec, settings, pool)
        _refuse_unpriced(settings, {**rates, **{name: rebind.rate for name, rebind in rebinds.items()}})
        yield watched(deps.but(rates=rates, bindings=rebinds), settings)


def slot_bindings(graph: Described, settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The binding of each of a graph's model slots, or its chain as "remote,local": as given, else as the graph says.

    Raises:
        SettingsError: A name is not that of a binding; where the graph says it, the text says where.
    """
    slots = graph.spec.slots
    wrong = [
        (path, error)
        for slot, names in slots.items()
        if slot not in given and EVERY_SLOT not in given
        for path, error in _unknown_bindings(slot, names.split(","), settings)
    ]
    if wrong:
        file: Path | None = getattr(graph, "file", None)
        located = load_yaml(read_graph_text(file), str(file)) if file else Nowhere(f"graph '{graph.spec.name}'", None, None)
        raise SettingsError("\n".join(str(located.problem(path, str(error))) for path, error in wrong))
    return {slot: given.get(slot, given.get(EVERY_SLOT, names)) for slot, names in slots.items()}


def _unknown_bindings(
    slot: str, names: Sequence[str], settings: Settings
) -> Iterator[tuple[tuple[str | int, ...], SettingsError]]:
    for index, name in enumerate(names):
        try:
            settings.binding(name)
        except SettingsError as error:
            yield ("models", slot, *([index] if len(names) > 1 else [])), error


async def _open_pool(stack: AsyncExitStack, settings: Settings) -> Models:
    from agentrag.models.bind import Models  # lazy: brings the HTTP client

    return await stack.enter_async_context(Models(settings))


def _rates(spec: GraphSpec, settings: Settings, slots: Mapping[str, str], deps: Deps) -> Mapping[str, Rate]:
    """What the models of slots cost, where a budget asks for it."""
    if deps.purse is None and not deps.origin.options.get("budget") and not any(each.budget for each in with_inner(spec)):
        return {}
    from agentrag.graph.planning.prices import prices_of  # lazy: knows what litellm's models cost

    return prices_of(settings, slots)


def _refuse_unpriced(settings: Settings, rates: Mapping[str, Rate | None]) -> None:
    """Refuse to open models for a tenant whose money is limited and could not be counted."""
    if settings.budget is None or settings.budget.usd is None:
        return
    for name, rate in sorted(rates.items()):
        if rate is None or not rate.known:
            why = f"The budget of tenant '{settings.tenant}' limits usd, but the price of the model in '{name}' is not known."
            raise SettingsError(f"{why} Set price_in and price_out of its binding.")


def _rebinds(spec: GraphSpec, settings: Settings, pool: Models) -> dict[str, Binding]:
    """The models to which rungs of the graph's ladder bind slots.

    Raises:
        SettingsError: A name is not that of a binding.
    """
    names = rebinds_of(spec)
    if not names:
        return {}
    from agentrag.graph.planning.prices import prices_of  # lazy: as above

    rates = prices_of(settings, {name: name for name in names})
    return {name: Binding(pool.get(name), rates[name]) for name in names}


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
