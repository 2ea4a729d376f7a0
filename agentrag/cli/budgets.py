"""Budgets on the terminal: limits as options, and what became of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import fail, note, pairs

if TYPE_CHECKING:
    from agentrag.app import Result

BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="UNIT=MOST",
        help="Most that the run may cost: calls, passages, tokens, usd or seconds; mode=audit only reports. Repeat it.",
    ),
]


def budget(items: list[str] | None) -> dict[str, Any]:
    """Limits by unit.

    Raises:
        SystemExit: An item is not UNIT=NUMBER.

    >>> budget(["calls=12", "usd=0.02", "mode=audit"])
    {'calls': 12, 'usd': 0.02, 'mode': 'audit'}
    """
    return {unit: text if unit == "mode" else _number(unit, text) for unit, text in pairs(items or [], "--budget").items()}


def _number(unit: str, text: str) -> float:
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise fail(f"--budget takes UNIT=NUMBER, not '{unit}={text}'", 2)
    return number


def budget_json(result: Result) -> dict[str, Any]:
    """What a budget made of a result, as JSON data; nothing where there was none."""
    from agentrag.cli.run_json import economy_as_json  # lazy: --help needs none of it
    from agentrag.graph.recorded.economy import Economy

    return economy_as_json(Economy(result.limited, result.degraded, result.budget))


def note_budget(result: Result) -> None:
    """Say on standard error where an answer is a best effort, what was made cheaper, and by how much a limit was passed."""
    for taken in result.degraded:
        note(f"made cheaper: {taken.rung} ({taken.reason})")
    for ended in result.limited:
        note(f"best effort: {ended.reason}")
    if result.budget is not None:
        for unit, more in result.budget.over.items():
            note(f"over the budget by {more:,.6g} {unit} of {result.budget.limits[unit]:,.6g}")
