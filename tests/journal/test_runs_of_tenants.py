"""Runs of a journal that serves several tenants: those of others are as if they were not there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from agentrag.core.calls import OutwardCall
from agentrag.core.errors import InDoubtError, SettingsError, StoreError, UnknownNameError
from agentrag.core.ports import RunRecord
from agentrag.journal.export import export_cassette, export_lines
from agentrag.journal.history import History
from agentrag.journal.retention import delete_runs
from agentrag.journal.sqlite import SqliteJournal
from agentrag.runs import Runs
from tests.journal.conftest import Service, called


@pytest.fixture
async def recorded(path: Path) -> Path:
    """A journal in which acme has a finished run "20270101-a", zeta "20270101-z", and each a write that was cut short."""
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


async def test_what_others_keep_does_not_count_for_the_size_that_a_tenant_may_keep(path: Path) -> None:
    with closing(SqliteJournal(path)) as journal:
        for tenant, size in (("zeta", 10), ("acme", 1_000_000)):
            journal.begin(RunRecord(tenant, "g", tenant=tenant))
            await Service().answer(called("x" * size, run=tenant, tenant=tenant), journal)
            journal.end(tenant, "finished", b"{}")
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


def test_a_run_may_be_forked_from_by_its_own_tenant(recorded: Path) -> None:
    with closing(SqliteJournal(recorded)) as journal:
        journal.begin(RunRecord("own", "g", tenant="acme", parent="20270101-a"))
        journal.end("own", "finished")
    with closing(History(recorded, "acme")) as history:
        assert history.run("own").record.parent == "20270101-a"


async def test_a_call_cannot_be_added_to_the_run_of_another_tenant(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.begin(RunRecord("one", "g", tenant="acme"))
    asked = OutwardCall("one", "flow.0:a", 0, "search", "docs", {"q": 1}, tenant="zeta")

    async def work() -> int:
        raise AssertionError("it is made")

    with pytest.raises(StoreError, match="another tenant's"):
        await journal.call(asked, work, TypeAdapter(int))
    journal.close()


@pytest.mark.parametrize(("tenant", "seen"), [("acme", {"acme"}), ("", {"acme", "zeta"})])
def test_a_journal_that_is_named_keeps_to_the_tenant_that_the_settings_name(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, tenant: str, seen: set[str]
) -> None:
    monkeypatch.setenv("AGENTRAG_TENANT", tenant)
    runs = Runs(journal=recorded)
    known = {past.record.run: past.record.tenant for past in runs.list()}
    assert set(known.values()) == seen
    assert set(runs.prune(keep=0, dry=True).runs) <= known.keys()


@pytest.mark.parametrize(("variable", "value"), [("AGENTRAG_CHUNK", "{"), ("AGENTRAG_TENANT", "../acme")])
def test_settings_that_cannot_be_read_open_no_runs_of_all_tenants(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("AGENTRAG_TENANT", "acme")
    monkeypatch.setenv(variable, value)
    runs = Runs(journal=recorded)
    for reading in (runs.list, lambda: runs.prune(keep=0, dry=True), lambda: runs.find("last")):
        with pytest.raises(SettingsError):
            reading()
