"""The account of a run: made of what its graph and its caller allow, kept over the stretches of a run that is resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agentrag.core.account import Account
from agentrag.core.budget import NOTHING, UNITS, Spend
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError
from agentrag.core.located import Nowhere, validation_problems
from agentrag.core.ports import Journal
from agentrag.graph.ladder import BudgetSpec
from agentrag.graph.spec import GraphSpec

_STRETCH = "budget#{}"


def open_account(spec: GraphSpec, deps: Deps) -> Account | None:
    """The account of a run, begun now or gone on with; None where nothing limits it.

    The limits are the graph's, those that the caller gave (`deps.origin.options["budget"]`) before them, unit by unit.

    Raises:
        InputError: The caller's limits are wrong, or money is limited and a price is not known. Nothing has run.
    """
    budget = _joined(spec.budget, budget_from(deps.origin.options.get("budget") or {}))
    if budget is None and deps.purse is None:
        return None
    budget = budget or BudgetSpec()
    if budget.usd is not None and budget.mode == "enforce":
        _refuse_unpriced(spec, deps)
    account = Account.of(budget, budget.mode, asyncio.get_running_loop().time)
    account.purse = deps.purse
    account.carried = _carried(deps.journal, deps.run)
    return account


def budget_from(given: Mapping[str, Any]) -> BudgetSpec | None:
    """Limits as a caller gives them, e.g. `{"calls": 12, "mode": "audit"}`; None where there are none.

    Raises:
        InputError: A unit is unknown, or a limit is wrong.
    """
    if not given:
        return None
    try:
        return BudgetSpec.model_validate(dict(given))
    except ValidationError as error:
        problems = validation_problems(error, Nowhere("budget", None, None), (), ["mode", *UNITS])
        raise InputError("; ".join(f"budget.{problem.path}: {problem.message}" for problem in problems)) from error


def _joined(own: BudgetSpec | None, given: BudgetSpec | None) -> BudgetSpec | None:
    if own is None or given is None:
        return given or own
    said = {name: value for name in given.model_fields_set if (value := getattr(given, name)) is not None}
    return own.model_copy(update=said)


def _refuse_unpriced(spec: GraphSpec, deps: Deps) -> None:
    for slot in sorted(spec.slots):
        rate = deps.rates.get(slot)
        if rate is None or not rate.known:
            how = "Set price_in and price_out of its binding, or use `mode: audit`."
            raise InputError(f"The budget limits usd, but the price of the model in slot '{slot}' is not known. {how}")


def _carried(journal: Journal, run: str) -> Spend:
    """What earlier stretches of the run spent that no record of a call tells."""
    total, number = NOTHING, 0
    while (kept := journal.settled(run, _STRETCH.format(number))) is not None:
        total, number = total.plus(Spend(*kept)), number + 1
    return total


def keep_stretch(journal: Journal, run: str, account: Account) -> None:
    """Keep what a run that may be gone on with has spent besides its recorded calls: time, and exchanges without an answer."""
    number = 0
    while journal.settled(run, _STRETCH.format(number)) is not None:
        number += 1
    journal.settle(run, _STRETCH.format(number), list(account.unrecorded._replace(seconds=account.active)))


def pay_time(account: Account) -> None:
    """Let the purse know how long the run was active."""
    if account.purse is not None:
        account.purse.settle(NOTHING, Spend(seconds=account.active))
