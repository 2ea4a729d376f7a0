"""Recorded runs with what the settings' redactor finds blanked in their texts, for lines on a terminal: these are cut later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agentrag.cli.run_json import outputs_of
from agentrag.core.errors import Question
from agentrag.core.redact import Redactor

if TYPE_CHECKING:
    from agentrag.graph.recorded.tree import TreeStep
    from agentrag.journal.past import PastRun
    from agentrag.runs import Shown


def blanked_run(shown: Shown, redactor: Redactor) -> Shown:
    """A run in full.

    Raises:
        StoreError: Its outputs are damaged.
    """
    outputs = outputs_of(shown.run)
    told = None if outputs is None else json.dumps(redactor.data(outputs)).encode()
    return replace(
        shown,
        run=replace(blanked_past(shown.run, redactor), outputs=told),
        steps=tuple(_step(step, redactor) for step in shown.steps),
        questions=blanked_questions(shown.questions, redactor),
    )


def blanked_past(past: PastRun, redactor: Redactor) -> PastRun:
    """How a run was begun and how it ended; its outputs are left as they are."""
    record = past.record
    begun = replace(record, inputs=redactor.data(dict(record.inputs)), options=redactor.data(dict(record.options)))
    return replace(past, record=begun, error=redactor.text(past.error))


def blanked_questions(questions: Mapping[str, Question], redactor: Redactor) -> dict[str, Question]:
    """Questions by the steps that ask them."""
    return {step: replace(asked, text=redactor.text(asked.text)) for step, asked in questions.items()}


def _step(step: TreeStep, redactor: Redactor) -> TreeStep:
    return replace(
        step,
        reason=redactor.text(step.reason),
        told=redactor.data(dict(step.told)),
        retried={attempt: redactor.text(reason) for attempt, reason in step.retried.items()},
        inside=tuple(_step(inner, redactor) for inner in step.inside),
    )
