"""Events as records of the standard `logging`, under "agentrag.runs". Who handles and formats them is not known here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from agentrag.core.events import Asked, Event, RunFinished, RunStarted
from agentrag.core.redact import Redactor
from agentrag.telemetry.fields import cost_of, cut, fields_of, name_of
from agentrag.telemetry.watch import End, Run, Watcher

LOGGER = "agentrag.runs"
TOLD = frozenset({"step_failed", "run_failed", "degraded", "budget_ended"})
"""Records of what a command tells in words of its own, by its last line or below the answer."""
_LEVELS: Mapping[str, int] = {
    "step_started": logging.DEBUG,
    "call_finished": logging.DEBUG,
    "choice_made": logging.DEBUG,
    "round_finished": logging.DEBUG,
    "step_finished": logging.DEBUG,
    "branch_finished": logging.DEBUG,
    "attempt_failed": logging.WARNING,
    "step_failed": logging.WARNING,
    "items_cut": logging.WARNING,
    "degraded": logging.WARNING,
    "budget_ended": logging.WARNING,
    "run_failed": logging.ERROR,
}
_LOG = logging.getLogger(LOGGER)


class Records(Watcher):
    """Logs what runs tell. A record has the fields `event`, `run`, `graph`, `tenant` and those of its event.

    Texts of questions, passages and answers are in none of them; reasons of failures are, redacted.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redact = redactor.text

    def heard(self, run: Run, event: Event) -> None:
        """Log an event; those that are new here at level info."""
        if isinstance(event, RunFinished):  # `ended` tells it, with the cost
            return
        name = name_of(event)
        level = _LEVELS.get(name, logging.INFO)
        if getattr(event, "outcome", "") == "failed":
            level = logging.WARNING
        if _LOG.isEnabledFor(level):
            told = {} if isinstance(event, RunStarted) else fields_of(event, self._redact)
            if isinstance(event, Asked):  # what is asked holds texts of users and models
                told = {"step": event.step}
            self._log(level, name, run, told)

    def ended(self, run: Run, end: End) -> None:
        """Log how a run ended, and what it cost."""
        name = f"run_{end.status}"
        level = _LEVELS.get(name, logging.INFO)
        if _LOG.isEnabledFor(level):
            told = cost_of(run.usage) | {"seconds": round(perf_counter() - run.began, 6)}
            self._log(level, name, run, told | ({"reason": cut(self._redact(end.reason))} if end.reason else {}))

    def _log(self, level: int, name: str, run: Run, told: Mapping[str, Any]) -> None:
        record = run.record
        fields = {"event": name, "run": record.run, "graph": record.graph, "tenant": record.tenant, **told}
        shown = " ".join(f"{key}={value}" for key, value in fields.items() if key != "event" and value != "")
        _LOG.log(level, "%s %s", name.replace("_", " "), shown, extra=_free(fields))


def _free(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields under names that a record has not yet."""
    return {f"event_{name}" if name in _TAKEN else name: value for name, value in fields.items()}


_TAKEN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
