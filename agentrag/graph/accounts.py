"""The account of a run: made of what its graph and its caller allow, kept over the stretches of a run that is resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from agentrag.core.account import Account, Earlier, Spending
from agentrag.core.budget import NOTHING, UNITS, Spend
from agentrag.core.deps import Deps
from agentrag.core.errors import InputError
from agentrag.core.located import Nowhere, validation_problems
from agentrag.core.metering import earlier_of, note_paid
from agentrag.graph.ladder import BudgetSpec
from agentrag.graph.spec import GraphSpec
from agentrag.graph.variants import rebinds_of, with_inner

_LIMITS = "budget!limits"


def budget_of(spec: GraphSpec, deps: Deps) -> BudgetSpec | None:
    """What a run may cost, begun now or gone on with; None where nothing limits it.

    The limits are the graph's, those that the caller gave (`deps.origin.options["budget"]`) before them, unit by unit. A run
    that is gone on with keeps those that it began with, unless it is replayed or the caller gives others.

    Raises:
        InputError: The caller's limits are wrong, or money is limited and a price is not known. Nothing has run.
    """
    given = budget_from(deps.origin.options.get("budget") or {})
    if given is None and (kept := deps.journal.settled(deps.run, _LIMITS)) is not None:
        given = BudgetSpec.model_validate(kept)
    budget = _joined(spec.budget, given)
    _refuse_unpriced(spec, budget, deps)
    return BudgetSpec() if budget is None and deps.purse is not None else budget


def open_account(budget: BudgetSpec, deps: Deps) -> Account:
    """The account of a run that the journal has begun; what earlier stretches of the run spent is in it."""
    deps.journal.settle(deps.run, _LIMITS, budget.model_dump(mode="json", exclude_none=True))
    account = Account.of(budget, budget.mode, asyncio.get_running_loop().time)
    account.purse, account.history = deps.purse, earlier_of(deps.journal, deps.run)
    account.earlier = Earlier(dict(account.history.calls), account.history.seconds)
    account.error = account.history.error
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


def _refuse_unpriced(spec: GraphSpec, budget: BudgetSpec | None, deps: Deps) -> None:
    """Refuse to limit money, here or in an inner graph, where what is limited is not known."""
    if budget is not None and budget.mode == "audit":
        return
    limited = [budget, *(each.budget for each in with_inner(spec))]
    if not any(each is not None and each.usd is not None and each.mode == "enforce" for each in limited):
        return
    how = "Set price_in and price_out of its binding, or use `mode: audit`."
    for slot in sorted(spec.slots):
        rate = deps.rates.get(slot)
        if rate is None or not rate.known:
            raise InputError(f"The budget limits usd, but the price of the model in slot '{slot}' is not known. {how}")
    for name in rebinds_of(spec):
        binding = deps.bindings.get(name)
        if binding is None or binding.rate is None or not binding.rate.known:
            raise InputError(f"The budget limits usd, but the price of binding '{name}', a rung's, is not known. {how}")


def end_stretch(deps: Deps, account: Account) -> Spending:
    """Note what this stretch of a run has spent, and let the purse know how long it was active; what the run has spent."""
    spending = account.spending()
    note_paid(deps.journal, deps.run, "flow", account)
    deps.journal.note(deps.run, "flow", "spent", asdict(spending))
    if account.purse is not None:
        account.purse.settle(NOTHING, Spend(seconds=account.active))
    return spending
