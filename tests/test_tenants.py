"""Tenants in one process: what one of them asks, reads, spends or leaves undone is not there for the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.types import Command
from pydantic import ValidationError

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.core.errors import SettingsError, StoreError
from agentrag.core.settings import Settings, load_settings
from agentrag.core.tenant import TenantError
from agentrag.graph.compile.checkpoints import open_checkpointer
from agentrag.graph.loader import load_graph_text
from agentrag.journal.history import History
from agentrag.journal.sqlite import SqliteJournal
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.tenants_place import mark, tenants_in

TENANTS = ("", "acme", "zeta")
WRONG = (
    "../x",
    "A",
    "a/b",
    "a b",
    "..",
    "a\n",
    "a\0",
    "x" * 65,
    "*",
    "\N{CYRILLIC SMALL LETTER A}cme",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
)
KINDS = ("chat", "search", "embed", "tool")

ASKS = """\
agentrag: 1
name: asks
inputs: {question: str, style: {type: str, default: full}}
outputs: [answer, style, verdict]
channels: {verdict: {type: str}}
nodes: {refuse: {use: abstain}}
flow:
  - ask_human: {question: "Send {question}?", out: verdict}
  - refuse
"""
CONDENSES = """\
agentrag: 1
name: condenses
inputs: {question: str, history: {type: history, default: []}}
outputs: [standalone]
models: {writer: default}
nodes: {condense: {use: condense, model: writer}}
flow: [condense]
"""
Wish = tuple[str, str, Sequence[str], int]
wishes = st.lists(
    st.tuples(
        st.sampled_from(TENANTS),
        st.sampled_from(["Who?", "Why?"]),
        st.lists(st.sampled_from(KINDS), max_size=5),
        st.integers(0, 3),
    ),
    min_size=2,
    max_size=10,
)


@pytest.mark.parametrize("name", WRONG)
async def test_a_name_that_no_tenant_can_have_is_refused_wherever_it_comes_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    forged = plain.model_copy(update={"tenant": name})
    entrances: dict[type[Exception], list[Callable[[], Any]]] = {
        TenantError: [lambda: plain.of_tenant(name), lambda: forged.own(plain.home), lambda: Collections(forged, None)],
        ValidationError: [lambda: Settings(tenant=name), lambda: Settings.model_validate({"tenants": {f"{name} ": {}}})],
        SettingsError: [load_settings],
    }
    monkeypatch.chdir(tmp_path)
    if "\0" not in name:  # no variable can hold it
        monkeypatch.setenv("AGENTRAG_TENANT", name)
        with pytest.raises(SettingsError, match=r"^AGENTRAG_TENANT: .* cannot be the name of a tenant: it takes 1 to 64"):
            load_settings()
        monkeypatch.delenv("AGENTRAG_TENANT")
    (tmp_path / "agentrag.yaml").write_text(f"tenant: {name!a}\n".replace("'", '"'), encoding="utf-8")
    for error, ways in entrances.items():
        for way in ways:
            with pytest.raises(error):
                way()
    graph = Graph.load("ask")
    for given_settings, tenant in ((plain, name), (forged, None)):
        with pytest.raises(TenantError):
            async with open_deps(graph, given_settings, tenant=tenant):
                pass
    assert {path.name for path in tmp_path.rglob("*")} == {"agentrag.yaml"}


async def crossings(folder: Path, asked: Sequence[Wish]) -> None:
    """Make runs at once and look whether anything crossed."""
    path = folder / "journal.sqlite"
    async with tenants_in(folder, TENANTS, SqliteJournal(path, reuse=True)) as place:
        await asyncio.gather(*(place.run(*wish) for wish in asked))
        for tenant in TENANTS:
            others = [mark(other) for other in TENANTS if other != tenant]
            assert all(text.startswith(mark(tenant)) for text in place.told[tenant])
            assert not any(other in text for text in place.told[tenant] for other in others)
            with closing(History(path, tenant)) as history:
                assert {past.record.run for past in history.runs(limit=None)} == set(place.runs[tenant])
                made = sum(past.usage.calls for past in history.runs(limit=None))
                for run in place.runs[tenant]:
                    for call in history.calls(run):
                        asked_and_told = str(history.exchange(call))
                        assert not any(other in asked_and_told for other in others)
            really = len(place.backs[tenant].asked) + len(place.embedders[tenant].asked)
            assert really <= made <= 12
            assert place.purses[tenant].standing().spent.calls == made
            # the first who asks pays, also where another tenant has paid for the same
            wanted = {(kind, question) for owner, question, kinds, _ in asked if owner == tenant for kind in kinds[:1]}
            assert Counter(place.backs[tenant].asked) >= Counter(kind for kind, _ in wanted if kind != "embed")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wishes)
def test_whatever_tenants_ask_at_once_nothing_crosses(asked: list[Wish]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(crossings(Path(folder), asked))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(wishes)
def test_whatever_tenants_ask_at_once_nothing_crosses_at_length(asked: list[Wish]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(crossings(Path(folder), asked))


async def test_answers_are_reused_inside_a_tenant_and_not_across(tmp_path: Path) -> None:
    async with tenants_in(tmp_path, TENANTS, SqliteJournal(tmp_path / "journal.sqlite", reuse=True)) as place:
        for _ in range(2):
            for tenant in TENANTS:
                await place.run(tenant, "Why?", KINDS)
        assert [back.asked for back in place.backs.values()] == [["chat", "search", "tool"]] * 3
        assert [inner.asked for inner in place.embedders.values()] == [["Why?"]] * 3
        assert [purse.left() for purse in place.purses.values()] == [{"calls": 8}] * 3


async def test_a_vector_that_one_tenant_had_computed_is_computed_again_for_another(tmp_path: Path) -> None:
    """Not reused by the journal, so that the cache is what answers."""
    async with tenants_in(tmp_path, TENANTS, SqliteJournal(tmp_path / "journal.sqlite")) as place:
        for _ in range(2):
            for tenant in TENANTS:
                await place.run(tenant, "Why?", ["embed"])
        assert [inner.asked for inner in place.embedders.values()] == [["Why?"]] * 3


async def test_threads_of_one_id_are_apart_in_the_checkpoints_that_are_opened_for_tenants(tmp_path: Path) -> None:
    plain = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    graph = Graph.of(load_graph_text(ASKS, "asks.yaml"))
    thread: Any = {"configurable": {"thread_id": "1"}}
    async with AsyncExitStack() as stack:
        stack.enter_context(closing(journal := SqliteJournal(tmp_path / "journal.sqlite")))
        compiled, deps = {}, {}
        for tenant in TENANTS:
            deps[tenant] = await stack.enter_async_context(open_deps(graph, plain, journal=journal, tenant=tenant))
            saver = await stack.enter_async_context(open_checkpointer(plain.of_tenant(tenant)))
            compiled[tenant] = graph.to_langgraph(saver)
        await compiled["acme"].ainvoke({"question": "of acme", "style": "of acme"}, thread, context=deps["acme"])
        for other in ("", "zeta"):
            assert (await compiled[other].aget_state(thread)).values == {}
            told = str(await compiled[other].ainvoke({"question": "own"}, thread, context=deps[other]))
            assert "acme" not in told
            assert "Send own?" in told
        # and where one checkpointer serves several, the journal still knows whose run waits there
        with pytest.raises(StoreError, match="another tenant's"):
            await compiled["acme"].ainvoke(Command(resume="yes"), thread, context=deps["zeta"])
        assert (await compiled["acme"].ainvoke(Command(resume="yes"), thread, context=deps["acme"]))["verdict"] == "yes"


@pytest.mark.parametrize(
    ("limit", "price", "refused"),
    [({"usd": 1.0}, {}, True), ({"usd": 1.0}, {"price_in": 0.0, "price_out": 2.0}, False), ({"calls": 9}, {}, False)],
    ids=["no price", "a price", "no limit on money"],
)
async def test_a_limit_on_money_needs_models_whose_price_is_known(
    tmp_path: Path, limit: dict[str, float], price: dict[str, float], refused: bool
) -> None:
    remote = {"provider": "openai-compatible", "url": "http://127.0.0.1:9/v1", "model": "m", **price}
    tenants = {"*": {"budget": {**limit, "per": "day"}}}
    given = {"home": tmp_path / "home", "cache": tmp_path / "cache", "models": {"default": remote}, "tenants": tenants}
    graph = Graph.of(load_graph_text(CONDENSES, "condenses.yaml"))
    opening = open_deps(graph, Settings.model_validate(given), tenant="acme")
    with pytest.raises(SettingsError, match="limits usd, but the price") if refused else nullcontext():
        async with opening as deps:
            assert deps.purse is not None


async def test_collections_of_one_name_are_apart(tmp_path: Path) -> None:
    plain = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    for tenant in TENANTS:
        Collections(plain.of_tenant(tenant), WordEmbedder()).open(f"of-{tenant or 'none'}", write=True).close()
        Collections(plain.of_tenant(tenant), WordEmbedder()).open("docs", write=True).close()
    assert Collections(plain.of_tenant("acme"), None).names() == ["docs", "of-acme"]
    assert Collections(plain, None).names() == ["docs", "of-none"]
    Collections(plain.of_tenant("acme"), None).delete("docs")
    assert Collections(plain.of_tenant("zeta"), None).names() == ["docs", "of-zeta"]
    with pytest.raises(StoreError, match=r"Unknown collection 'of-acme'.*Known: docs, of-zeta\."):
        Collections(plain.of_tenant("zeta"), None).open("of-acme")
