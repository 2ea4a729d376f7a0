"""What people say to a run that waits for them: answers to its questions, and what became of writes in doubt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from agentrag.core.errors import InputError, Question, unknown
from agentrag.graph.values.replies import accepted
from agentrag.journal.past import PastNote, PastRun

ASKED = "asked"
"""Kind of the notes of questions."""
_PART = re.compile(r"\[(\d+)\]|\.([a-z][a-z0-9_-]*)")


def open_questions(notes: Iterable[PastNote], settled: Mapping[str, Any]) -> dict[str, Question]:
    """The questions of a run that nobody has answered, by the step that asks; without those of branches that lost a race.

    Args:
        notes: Of the run.
        settled: What was decided in it so far.
    """
    asked = {note.step: _question(note) for note in notes if note.kind == ASKED}
    return {step: question for step, question in asked.items() if step not in settled and not _is_left_out(step, settled)}


def _question(note: PastNote) -> Question:
    body = note.body
    return Question(str(body["question"]), tuple(body["choices"]), body["schema"], body["bytes"])


def _is_left_out(step: str, settled: Mapping[str, Any]) -> bool:
    """Whether a fan-out around the step has ended without the branch that it is in."""
    for place, decided in settled.items():
        if step.startswith(place) and isinstance(decided, Mapping) and "done" in decided:
            part = _PART.match(step, len(place))
            if part and (part[1] or part[2]) not in decided["done"]:
                return True
    return False


def pause_of(past: PastRun, questions: Mapping[str, Question], settled: Mapping[str, Any], pause: str | None) -> str:
    """The step whose open question an answer is for.

    Args:
        past: The run.
        questions: The open ones.
        settled: What was decided in the run so far.
        pause: The step, where it was named; needed where several questions are open.

    Raises:
        InputError: The question was answered before, nothing asks there, or the run waits for nobody.
    """
    refuse_answered(past.record.run, settled, pause)
    if past.status != "paused" and not (past.status == "running" and questions):
        raise InputError(f"Run {past.record.run} waits for no answer: it is {past.status}.")
    if pause is None and len(questions) > 1:
        named = ", ".join(sorted(questions))
        raise InputError(f"Several questions are open; name the step of each answer: {named}.")
    if not questions:
        refuse_answered(past.record.run, settled, pause or _latest_answered(settled))
        how = f"Resume it, and it says what it waits for: agentrag runs resume {past.record.run}"
        raise InputError(f"Run {past.record.run} has no open question on record. {how}")
    if pause is not None and pause not in questions:
        raise InputError(f"Run {past.record.run}: {unknown('open question', pause, questions)}")
    return pause or next(iter(questions))


def _latest_answered(settled: Mapping[str, Any]) -> str | None:
    answered = [step for step, decided in settled.items() if isinstance(decided, Mapping) and "answer" in decided]
    return max(answered, key=lambda step: str(settled[step].get("at", "")), default=None)


def refuse_answered(run: str, settled: Mapping[str, Any], pause: str | None) -> None:
    """Refuse a second answer.

    Raises:
        InputError: The question of this step was answered; the text says what and when.
    """
    decided = settled.get(pause) if pause else None
    if isinstance(decided, Mapping) and "answer" in decided:
        at = f" at {decided['at']}" if "at" in decided else ""
        told = f"Step {pause} of run {run} was answered before{at}: {decided['answer']!r:.200}."
        raise InputError(f"{told} See: agentrag runs show {run}")


def reply_to(step: str, question: Question, reply: Any) -> Any:
    """The reply as the run takes it.

    Raises:
        InputError: It is no answer to the question; the text says what is expected.
    """
    try:
        return accepted(question, reply)
    except ValueError as error:
        raise InputError(f"Step {step}: {error}") from error


def kept(question: Question, answer: Any, at: float | None = None) -> dict[str, Any]:
    """An answer as the journal keeps it: with its question, so that a fork that asks the same has it too; `at` is when."""
    when = {} if at is None else {"at": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"}
    return {"answer": answer, "question": question.text, **when}


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
