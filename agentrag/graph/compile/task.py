"""What LangGraph tells the node that runs: back ends, where events go, a name for the run, a person's answers."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from langgraph.checkpoint.base.id import UUID
from langgraph.runtime import ExecutionInfo, get_runtime
from langgraph.types import interrupt

from agentrag.core.deps import Deps
from agentrag.core.errors import PausedError, Question, RunError
from agentrag.core.events import Event
from agentrag.graph.recorded.answers import kept
from agentrag.graph.values.replies import accepted

T = TypeVar("T")
_CLOCK_BEGAN = datetime(1582, 10, 15, tzinfo=UTC)
"""What the time in LangGraph's ids counts from."""


def given() -> tuple[Deps, ExecutionInfo]:
    """The back ends, telling events to LangGraph's custom stream too, and what LangGraph says of the task.

    Raises:
        RunError: No deps were passed.
    """
    runtime = get_runtime(Deps)
    deps, write, info = runtime.context, runtime.stream_writer, runtime.execution_info
    if not isinstance(deps, Deps) or info is None:
        raise RunError("No back ends were given. Pass context=deps; agentrag.open_deps makes them.")
    tell = deps.listen

    def listen(event: Event) -> None:
        write(event)
        tell(event)

    return deps.but(listen=listen), info


def run_id(info: ExecutionInfo) -> str:
    """An id like those of `agentrag.core.calls.new_run_id`, the same one whenever LangGraph runs this task again.

    So a thread that goes on after an interrupt or a failure goes on with its run, and pays for nothing twice.
    """
    begun = _CLOCK_BEGAN + timedelta(microseconds=UUID(info.checkpoint_id).time // 10)
    return f"{begun:%Y%m%d-%H%M%S}-{hashlib.sha256(info.task_id.encode()).hexdigest()[:8]}"


async def with_answers(work: Callable[[], Awaitable[T]], deps: Deps, info: ExecutionInfo) -> T:
    """Do `work`; what it asks a person, ask through LangGraph's interrupt, where the run is in a thread and can wait.

    The value of the interrupt is `{step: {"question": text, "choices": [...]}}`, with a "schema" where the answer has one.
    It is resumed with the answer, or with answers by step. What is no answer (no text, none of the choices, not what the
    schema says) is asked again.

    Raises:
        PausedError: The run is in no thread.
        GraphInterrupt: The run waits.
    """
    had = 0
    # LangGraph hands out all answers again, in the order of the questions; the journal knows which were used
    while deps.journal.settled(deps.run, f"{info.task_id}#{had}") is not None:
        interrupt(None)
        had += 1
    while True:
        try:
            return await work()
        except PausedError as error:
            if info.thread_id is None:
                raise
            questions = error.questions
        answers = dict(_answers(questions, interrupt(_asked(questions))))
        for step, answer in answers.items():
            deps.journal.settle(deps.run, step, kept(questions[step], answer))
        deps.journal.settle(deps.run, f"{info.task_id}#{had}", sorted(answers))
        had += 1


def _asked(questions: Mapping[str, Question]) -> dict[str, Any]:
    return {
        step: {"question": asked.text, "choices": list(asked.choices)}
        | ({} if asked.schema is None else {"schema": dict(asked.schema)})
        for step, asked in questions.items()
    }


def _answers(questions: Mapping[str, Question], resumed: Any) -> Iterator[tuple[str, Any]]:
    """The answers that fit a question; one answer without a name is that to the only question."""
    if not isinstance(resumed, Mapping) or (len(questions) == 1 and questions.keys().isdisjoint(resumed)):
        resumed = dict.fromkeys(questions, resumed) if len(questions) == 1 else {}
    for step, question in questions.items():
        with suppress(ValueError):
            yield step, accepted(question, resumed.get(step))
