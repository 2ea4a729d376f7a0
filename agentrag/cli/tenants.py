"""`agentrag tenants`: what tenants have spent of their budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentrag.cli.console import errors, note, out, say_json
from agentrag.cli.options import JsonOption

if TYPE_CHECKING:
    from agentrag.journal.purse import Standing


def tenants(as_json: JsonOption = False) -> None:
    """Show what tenants have spent and what they have left, until when.

    Where the settings name a tenant, only that one; else all that have a
    budget. What is set aside for calls in flight counts as spent.
    """
    with errors():
        # lazy: --help needs none of it
        from agentrag.core.settings import load_settings
        from agentrag.journal.purse import standings

        found = standings(load_settings())
    if as_json:
        say_json([_as_json(standing) for standing in found])
    elif not found:
        note("No tenant has a budget. Budgets stand under `tenants:` in agentrag.yaml.")
    else:
        _print(found)


def _print(found: Sequence[Standing]) -> None:
    from rich import box  # lazy: --help needs no tables
    from rich.table import Table

    table = Table("tenant", "unit", "spent", "left", "limit", "per", "until", box=box.SIMPLE_HEAD, pad_edge=False)
    for standing in found:
        until = f"{standing.ends:%Y-%m-%d %H:%M} UTC" if standing.ends else ""
        limits = dict(standing.budget.given())
        for unit, spent in standing.spent.items():
            if spent or unit in limits:
                left, limit = (_number(amounts.get(unit)) for amounts in (standing.left, limits))
                table.add_row(standing.tenant or "(none)", unit, _number(spent), left, limit, standing.budget.per, until)
    out().print(table)


def _number(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.10g}"


def _as_json(standing: Standing) -> dict[str, Any]:
    return {
        "tenant": standing.tenant,
        "per": standing.budget.per,
        "began": standing.began.isoformat(),
        "ends": standing.ends.isoformat() if standing.ends else None,
        "spent": dict(standing.spent.items()),
        "left": standing.left,
        "limits": dict(standing.budget.given()),
    }
