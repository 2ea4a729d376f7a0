"""Jobs that run at once: how many are waited for, what a failure does, and how the outcome is kept for a resumed run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentrag.core.channels import State
from agentrag.core.errors import BranchError, BudgetError, InDoubtError, PausedError, Question, ReplayError
from agentrag.core.events import BranchFinished, BudgetEnded
from agentrag.graph.flow.frame import Frame
from agentrag.graph.flow.node import first_of, reason_of

Jobs = Mapping[str, Callable[[], Awaitable[State]]]
Gave = Callable[[str, State], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of the jobs.

    Attributes:
        need: As many as have to end well; the others are cancelled then.
        collect: A failed job is left out, as long as enough others can end well.
        sure: Least number that must have ended well at the end.
        limit: Most jobs at work at once.
        gave: What of a job's final state to show in an error.
    """

    need: int
    collect: bool
    sure: int
    limit: int
    gave: Gave


@dataclass
class _Course:
    """How the jobs stand."""

    count: int
    done: dict[str, State] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    paused: dict[str, dict[str, Question]] = field(default_factory=dict)
    fatal: BaseException | None = None


async def fan_out(jobs: Jobs, terms: Terms, frame: Frame, place: str) -> dict[str, State]:
    """The final states of the jobs that ended well, in the jobs' order.

    Where the outcome depended on time or on failures it is settled in the journal, and a resumed run takes the same
    jobs: those that failed or were cancelled are not run again.

    Raises:
        BranchError: Too many jobs failed.
        PausedError: Jobs wait for a person; the questions of all of them are in it.
    """
    journal, run = frame.deps.journal, frame.deps.run
    settled = journal.settled(run, place)
    if settled is not None:
        taken = {name: job for name, job in jobs.items() if name in settled["done"]}
        course = await _course(taken, Terms(len(taken), False, len(taken), terms.limit, terms.gave), frame)
        _tell(frame, place, jobs, course, settled["failed"])
        _raise_for(course, taken, terms, place, run)
        _tell_unpaid(frame, place, settled.get("budget", {}))
        return {name: course.done[name] for name in taken}
    course = await _course(jobs, terms, frame)
    failed = {name: reason_of(error) for name, error in course.failed.items()}
    unpaid = {name: [error.unit, error.reason] for name, error in course.failed.items() if isinstance(error, BudgetError)}
    _tell(frame, place, jobs, course, failed)
    _raise_for(course, jobs, terms, place, run)
    _tell_unpaid(frame, place, unpaid)
    if len(course.done) < len(jobs):
        done = [name for name in jobs if name in course.done]
        journal.settle(run, place, {"done": done, "failed": failed} | ({"budget": unpaid} if unpaid else {}))
    return {name: course.done[name] for name in jobs if name in course.done}


async def _course(jobs: Jobs, terms: Terms, frame: Frame) -> _Course:
    """Run jobs until enough are done, one failure too many has happened, or none is left."""
    course = _Course(len(jobs))
    waiting = iter(jobs.items())
    running: dict[asyncio.Task[State], str] = {}
    final = (InDoubtError, ReplayError, *frame.through)
    try:
        while not _over(course, terms):
            while len(running) < terms.limit and (following := next(waiting, None)):
                name, job = following
                running[asyncio.ensure_future(_awaited(job))] = name
            if not running:
                break
            finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task in finished]:  # in the jobs' order
                if len(course.done) < terms.need:
                    _sort(course, running.pop(task), task, final)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return course


async def _awaited(job: Callable[[], Awaitable[State]]) -> State:
    return await job()


def _sort(course: _Course, name: str, task: asyncio.Task[State], final: tuple[type[BaseException], ...]) -> None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        course.done[name] = task.result()
        return
    cause = first_of(error)
    if isinstance(cause, PausedError):
        course.paused[name] = cause.questions
    elif isinstance(cause, final):
        course.fatal = course.fatal or cause
    else:
        course.failed[name] = cause


def _over(course: _Course, terms: Terms) -> bool:
    left = course.count - len(course.failed)
    spoilt = bool(course.failed) and (not terms.collect or left < terms.sure)
    return len(course.done) >= terms.need or spoilt or course.fatal is not None


def _raise_for(course: _Course, jobs: Jobs, terms: Terms, place: str, run: str) -> None:
    if course.fatal is not None:
        raise course.fatal
    if len(course.done) >= terms.need:
        return
    if course.failed and (not terms.collect or len(course.done) + len(course.paused) < terms.sure):
        if all(isinstance(error, BudgetError) for error in course.failed.values()):
            raise next(iter(course.failed.values()))
        reasons = {name: reason_of(error) for name, error in course.failed.items()}
        gave = {name: terms.gave(name, state) for name, state in course.done.items()}
        left = [name for name in jobs if name not in {*course.done, *course.failed, *course.paused}]
        raise BranchError(place, reasons, gave, left) from next(iter(course.failed.values()))
    if course.paused:
        raise PausedError(run, {step: asked for questions in course.paused.values() for step, asked in questions.items()})


def _tell(frame: Frame, place: str, jobs: Jobs, course: _Course, failed: Mapping[str, str]) -> None:
    for name in jobs:
        left = "waits" if name in course.paused else "cancelled"
        outcome = "done" if name in course.done else "failed" if name in failed else left
        frame.deps.listen(BranchFinished(place, name, outcome, failed.get(name, "")))


def _tell_unpaid(frame: Frame, place: str, unpaid: Mapping[str, Iterable[str]]) -> None:
    """Tell which parts a budget left out, with the unit and the reason."""
    for name, (unit, reason) in unpaid.items():
        frame.deps.listen(BudgetEnded(f"{place}.{name}", unit, f"'{name}' was left out: {reason}"))
