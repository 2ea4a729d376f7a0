"""What a run did to keep to its budget, as its notes tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agentrag.core.account import Spending
from agentrag.core.budget import Spend
from agentrag.core.events import BudgetEnded, Degraded
from agentrag.journal.past import PastNote

KINDS = frozenset({"degrade", "budget", "spent", "paid"})
"""Kinds of notes that are about the budget; the first two are about the run as a whole, wherever they were made."""


@dataclass(frozen=True, slots=True)
class Economy:
    """What became of a run's budget; see `agentrag.core.events.RunFinished`, whose fields these are."""

    limited: tuple[BudgetEnded, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    budget: Spending | None = None

    @classmethod
    def of(cls, notes: Iterable[PastNote]) -> Economy:
        """Put it together; what a resumed run told again counts once."""
        limited: dict[BudgetEnded, None] = {}
        degraded: dict[Degraded, None] = {}
        budget = None
        for note in notes:
            if note.kind == "budget":
                limited[BudgetEnded(note.step, **note.body)] = None
            elif note.kind == "degrade":
                degraded[Degraded(note.step, **note.body)] = None
            elif note.kind == "spent":
                budget = _spending(note.body)
        return cls(tuple(limited), tuple(degraded), budget)


def _spending(body: Mapping[str, Any]) -> Spending:
    return Spending(**{**body, "spent": Spend(*body["spent"]), "estimate_error": Spend(*body["estimate_error"])})
