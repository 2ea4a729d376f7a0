"""Ask every question of a sample, some at once; a question that fails is an outcome, not the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from agentrag.core.errors import RunError
from agentrag.core.types import Citation, Passage, Usage
from agentrag.evaluation.data.dataset import Query, Question

GIVE_UP_AFTER = 5
"""So many failures and no success: the set-up is broken, and asking on would only take long."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a graph or a retriever made of a question.

    Attributes:
        answer: The answer; None from what only retrieves.
        passages: Retrieved passages, best first; None from what retrieves nothing.
        unsupported: Sentences of the answer that nothing supports.
        usage: What was paid, by node.
        saved: What the calls that a cassette answered now had cost when they were made, by node.
        first_token: Seconds until the first piece of the answer was streamed; None where it was not.
        signals: Log-odds that a gate or a filter wrote, by channel.
    """

    answer: str | None = None
    passages: tuple[Passage, ...] | None = None
    abstained: bool = False
    citations: tuple[Citation, ...] = ()
    unsupported: tuple[str, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    saved: Mapping[str, Usage] = field(default_factory=dict)
    first_token: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)


Ask = Callable[[Question], Awaitable[Answered]]
"""What is evaluated: it sees the question, never what the answer is judged by."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A query with its answer, or with the reason why there is none.

    Attributes:
        seconds: Wall time of this question, 0.0 where it failed.
    """

    query: Query
    answered: Answered | None
    error: str = ""
    seconds: float = 0.0


def _ignore(outcome: Outcome) -> None:
    """Watch nothing."""


async def ask_all(
    ask: Ask,
    queries: Sequence[Query],
    concurrency: int = 1,
    watch: Callable[[Outcome], None] = _ignore,
    *,
    hopeful: bool = False,
) -> list[Outcome]:
    """Ask all questions, at most `concurrency` at once.

    Args:
        ask: What answers one question. A `RunError` is a failed question; any other exception ends the evaluation.
        queries: The sample.
        concurrency: Questions in flight, >= 1.
        watch: Told every outcome when it is there, in the order of completion.
        hopeful: Others were answered before, so that all of these may fail.

    Returns:
        One outcome per query, in their order.

    Raises:
        RunError: The first questions all failed, or all did; the message is that of the first failure.
    """
    waiting = iter(enumerate(queries))
    done: dict[int, Outcome] = {}

    async def work() -> None:
        for place, query in waiting:
            done[place] = await _ask_one(ask, query)
            watch(done[place])
            if not hopeful:
                _check_hope(done.values(), len(queries))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(queries))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__
    return [done[place] for place in range(len(queries))]


async def _ask_one(ask: Ask, query: Query) -> Outcome:
    begun = perf_counter()
    try:
        answered = await ask(query.question)
    except RunError as error:
        return Outcome(query, None, error=" ".join(str(error).split()))
    return Outcome(query, answered, seconds=perf_counter() - begun)


def _check_hope(outcomes: Collection[Outcome], of: int) -> None:
    if len(outcomes) >= min(GIVE_UP_AFTER, of) and not any(outcome.answered for outcome in outcomes):
        raise RunError(f"All of the first {len(outcomes)} questions failed. {next(iter(outcomes)).error}")
