"""The command line of one tenant sees that tenant's things; without one, the budgets of all."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.budget import Spend
from agentrag.core.settings import Settings
from agentrag.journal.purse import FILE, TenantPurse
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder
from tests.cli.conftest import Command

BUDGETS = {"acme": {"budget": {"calls": 1000, "usd": 5.0, "per": "ever"}}, "*": {"budget": {"calls": 3, "per": "month"}}}


@pytest.fixture
def house(tmp_path: Path) -> Settings:
    """Three tenants, of which "" is one, that have spent something, each with a collection of its own name."""
    (tmp_path / "agentrag.yaml").write_text(json.dumps({"tenants": BUDGETS}), encoding="utf-8")
    settings = Settings.model_validate({"home": tmp_path / "home", "cache": tmp_path / "cache", "tenants": BUDGETS})
    for tenant in ("", "acme", "zeta"):
        own = settings.of_tenant(tenant)
        Collections(own, WordEmbedder()).open(f"of-{tenant or 'nobody'}", write=True).close()
        assert own.budget is not None
        with closing(TenantPurse(settings.home / FILE, tenant, own.budget)) as purse:
            assert purse.reserve(Spend(2, usd=0.5)) is None
            purse.settle(Spend(2, usd=0.5), Spend(1, usd=0.25))
    return settings


def test_what_tenants_have_spent_and_left_is_shown_by_unit(command: Command, house: Settings) -> None:
    rows = [line.split() for line in command("tenants").out.splitlines()[3:] if line.strip()]
    assert [row[:6] for row in rows if row[1] == "calls"] == [
        ["(none)", "calls", "1", "2", "3", "month"],
        ["acme", "calls", "1", "999", "1,000", "ever"],
        ["zeta", "calls", "1", "2", "3", "month"],
    ]
    assert ["acme", "usd", "0.25", "4.75", "5", "ever"] in rows
    assert next(row for row in rows if row[:2] == ["zeta", "usd"])[2] == "0.25"  # counted, though nothing limits it


def test_a_tenant_sees_its_own_budget_and_collections_only(command: Command, house: Settings) -> None:
    (standing,) = json.loads(command("tenants", "--json", AGENTRAG_TENANT="zeta").out)
    assert (standing["tenant"], standing["left"], standing["per"]) == ("zeta", {"calls": 2}, "month")
    listed = command("collections", "list", AGENTRAG_TENANT="zeta").out
    assert "of-zeta" in listed
    assert "of-acme" not in listed
    assert "of-nobody" not in listed
    refused = command("collections", "verify", "of-acme", AGENTRAG_TENANT="zeta")
    assert refused.code == 1
    assert "Known: of-zeta." in refused.err


def test_without_budgets_it_is_said_where_they_would_stand_and_nothing_is_made(command: Command, tmp_path: Path) -> None:
    done = command("tenants")
    assert (done.code, done.out) == (0, "")
    assert "`tenants:` in agentrag.yaml" in done.err
    assert not (tmp_path / "home").exists()


def test_a_budget_of_which_nothing_is_spent_is_shown_and_no_file_is_made(command: Command, tmp_path: Path) -> None:
    (tmp_path / "agentrag.yaml").write_text(json.dumps({"tenants": BUDGETS}), encoding="utf-8")
    assert "1,000" in command("tenants").out
    assert not (tmp_path / "home").exists()


def test_a_name_that_no_tenant_can_have_is_refused_by_every_command(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A text.", encoding="utf-8")
    for arguments in (
        ["tenants"],
        ["collections", "list"],
        ["ingest", "a.md", "-c", "docs"],
        ["ask", "Why?"],
        ["runs", "list"],
    ):
        done = command(*arguments, AGENTRAG_TENANT="../x")
        assert done.code == 1
        assert done.err.startswith("error: AGENTRAG_TENANT: '../x' cannot be the name of a tenant")
    assert not (tmp_path / "home").exists()
