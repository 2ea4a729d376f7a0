"""Tenants in one process: what one of them asks, reads, spends or leaves undone is not there for the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.core.errors import InDoubtError, SettingsError, StoreError, UnknownNameError
from agentrag.core.ports import RunRecord
from agentrag.core.settings import Settings, load_settings
from agentrag.core.tenant import TenantError
from agentrag.journal.export import export_cassette, export_lines
from agentrag.journal.history import History
from agentrag.journal.retention import delete_runs
from agentrag.journal.sqlite import SqliteJournal
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.journal.conftest import Service, called
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
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
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


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    """A journal in which acme has a finished run "20270101-a", zeta "20270101-z", and each a write that was cut short."""
    path = tmp_path / "journal.sqlite"
    with closing(SqliteJournal(path)) as journal:
        for tenant in ("acme", "zeta"):
            run = f"20270101-{tenant[0]}"
            journal.begin(RunRecord(run, "g", tenant=tenant))
            await Service().answer(called(f"{tenant} asks", run=run, tenant=tenant, sampled=True), journal)
            journal.end(run, "finished", b"{}")
            with pytest.raises(ConnectionError):
                await Service(failing=1).answer(called(run=f"{run}-cut", effect="write", tenant=tenant), journal)
    return path


REFUSALS: dict[str, Callable[[History, Path], Any]] = {
    "run": lambda history, _: history.run("20270101-a"),
    "a beginning": lambda history, _: history.full_id("20270101-a-"),
    "calls": lambda history, _: history.calls("20270101-a"),
    "steps": lambda history, _: history.steps("20270101-a"),
    "notes": lambda history, _: history.notes("20270101-a"),
    "decisions": lambda history, _: history.settled("20270101-a"),
    "writes in doubt": lambda history, _: history.in_doubt("20270101-a-cut"),
    "cassette": lambda history, to: export_cassette(history.path, ["20270101-a"], to, "zeta"),
    "lines": lambda history, _: list(export_lines(history.path, ["20270101-a"], "zeta")),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_run_of_another_tenant_is_as_if_it_were_not_there(recorded: Path, what: str, tmp_path: Path) -> None:
    refused = pytest.raises((UnknownNameError, StoreError), match="Unknown run '20270101-a")
    with closing(History(recorded, "zeta")) as history, refused as caught:
        REFUSALS[what](history, tmp_path / "out.sqlite")
    hint = str(caught.value).partition("Known:")[2]
    assert "20270101-z" in hint
    assert "20270101-a" not in hint
    assert not (tmp_path / "out.sqlite").exists()


def test_lists_and_means_are_those_of_one_tenant_and_of_all_for_who_runs_the_machine(recorded: Path) -> None:
    def listed(tenant: str | None) -> tuple[list[str], int]:
        with closing(History(recorded, tenant)) as history:
            expected = history.expected("g")
            return [past.record.run for past in history.runs(graph="g")], expected.runs if expected else 0

    assert listed("acme") == (["20270101-a"], 1)
    assert listed("") == ([], 0)
    assert listed(None) == (["20270101-z", "20270101-a"], 2)


@pytest.mark.parametrize("rule", [{"older_than": timedelta(0)}, {"keep": 0}, {"max_bytes": 0}], ids=["age", "number", "size"])
def test_only_runs_of_the_tenant_are_pruned(recorded: Path, rule: dict[str, Any]) -> None:
    deleted = delete_runs(recorded, **rule, tenant="zeta")
    with closing(History(recorded)) as history:
        left = {past.record.run for past in history.runs(limit=None)}
        assert history.exchange(history.calls("20270101-a")[0])[0] == {"text": "acme asks"}
    assert {"20270101-a", "20270101-a-cut"} <= left
    assert "20270101-z" not in left
    assert deleted.runs == 4 - len(left)


def test_what_others_keep_does_not_count_for_the_size_that_a_tenant_may_keep(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    async def fill() -> None:
        with closing(SqliteJournal(path)) as journal:
            for tenant, size in (("zeta", 10), ("acme", 1_000_000)):
                journal.begin(RunRecord(tenant, "g", tenant=tenant))
                await Service().answer(called("x" * size, run=tenant, tenant=tenant), journal)
                journal.end(tenant, "finished", b"{}")

    asyncio.run(fill())
    assert delete_runs(path, max_bytes=200_000, tenant="zeta").runs == 0
    assert delete_runs(path, max_bytes=200_000, tenant="acme").runs == 1


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (RunRecord("new", "g", tenant="zeta", parent="20270101-a"), "Unknown run '20270101-a'"),
        (RunRecord("20270101-a", "g", tenant="zeta"), "another tenant's"),
        (RunRecord("20270101-a-cut", "g", tenant="zeta"), "another tenant's"),
    ],
    ids=["fork", "go on", "go on with what was cut short"],
)
def test_no_run_is_forked_from_or_gone_on_with_by_another_tenant(recorded: Path, record: RunRecord, said: str) -> None:
    with closing(SqliteJournal(recorded)) as journal, pytest.raises(StoreError, match=said):
        journal.begin(record)
    with closing(History(recorded, "acme")) as history:
        assert history.run("20270101-a").status == "finished"


async def test_a_write_of_one_tenant_that_is_in_doubt_holds_up_no_other(recorded: Path) -> None:
    with closing(SqliteJournal(recorded)) as journal:
        journal.begin(RunRecord("20270101-a-cut", "", tenant="acme"))
        with pytest.raises(InDoubtError):
            await Service().answer(called(run="20270101-a-cut", effect="write", tenant="acme"), journal)
        assert await Service().answer(called(run="other", effect="write", tenant="nemo"), journal) == "1 Why?"


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


def test_a_run_may_be_forked_from_by_its_own_tenant(recorded: Path) -> None:
    with closing(SqliteJournal(recorded)) as journal:
        journal.begin(RunRecord("own", "g", tenant="acme", parent="20270101-a"))
        journal.end("own", "finished")
    with closing(History(recorded, "acme")) as history:
        assert history.run("own").record.parent == "20270101-a"
