"""What people say to a run that waits for them: answers to its questions, and what became of writes in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrag.core.errors import InputError, Question, unknown
from agentrag.journal.past import PastRun

OPEN = ""
"""Stands for the step of the one question that is open."""


def refuse_needless(past: PastRun, settled: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Refuse answers that no question waits for; `settled` is what was decided in the run so far.

    Raises:
        InputError: A question was answered before, or the run does not wait for a person.
    """
    for step in given:
        decided = settled.get(step)
        if isinstance(decided, Mapping) and "answer" in decided:
            raise InputError(f"Step {step} of run {past.record.run} was answered before: {decided['answer']!r}.")
    if given and past.status != "paused":
        raise InputError(f"Run {past.record.run} waits for no answer: it is {past.status}.")


def kept(question: Question, answer: str) -> dict[str, str]:
    """An answer as the journal keeps it: with its question, so that a fork that asks the same has it too."""
    return {"answer": answer, "question": question.text}


def answers_to(questions: Mapping[str, Question], given: dict[str, str]) -> dict[str, str]:
    """Take the answers to open questions out of `given`, by step; those to questions that come later stay in it.

    Raises:
        InputError: An answer is empty or none of the choices, or it names no step and several questions are open.
    """
    if OPEN in given:
        if len(questions) > 1:
            raise InputError(f"Several questions are open; name the step of each answer: {', '.join(sorted(questions))}.")
        given[next(iter(questions))] = given.pop(OPEN)
    answered = {step: given.pop(step) for step in questions if step in given}
    for step, answer in answered.items():
        choices = questions[step].choices
        if choices and answer not in choices:
            raise InputError(f"Step {step}: {unknown('answer', answer, choices)}")
        if not answer.strip():
            raise InputError(f"Step {step}: the answer is empty.")
    return answered


def refuse_wrong_settlements(in_doubt: Mapping[str, str], given: Mapping[str, Any]) -> None:
    """Refuse what is said of a write that is not in doubt, or that says neither to redo it nor its result.

    Raises:
        InputError: See above.
    """
    for key, said in given.items():
        if key not in in_doubt:
            raise InputError(unknown("write in doubt", key, in_doubt))
        if not (isinstance(said, Mapping) and (said == {"redo": True} or said.keys() == {"result"})):
            raise InputError(f"Write {key}: say {{'redo': True}} or {{'result': ...}}, not {said!r:.60}.")
