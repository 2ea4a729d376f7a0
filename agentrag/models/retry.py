"""Try a model call again when that can help. Nothing else around a call of our own client retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from agentrag.core.errors import ModelError
from agentrag.core.types import Completion

ATTEMPTS = 4
_LONGEST_WAIT = 60.0
_backoff = wait_random_exponential(multiplier=0.5, max=8.0)


def _wait(state: RetryCallState) -> float:
    """Seconds to wait: what the server asked for, else a random time whose bound doubles from 0.5 to 8 s."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ModelError) else None
    return _backoff(state) if asked is None else asked


async def with_retries(
    once: Callable[[], Awaitable[Completion]], may_repeat: Callable[[], bool], attempts: int = ATTEMPTS
) -> Completion:
    """Call `once` until it succeeds, its error is final, or `attempts` are used up; the usage counts every attempt.

    Args:
        once: One exchange with the server.
        may_repeat: False once text was handed out: an answer cannot be taken back.
        attempts: At most this many calls, >= 1.

    Raises:
        ModelError: The last error. A server that asks to wait for more than a minute is not waited for.
    """

    def again(error: BaseException) -> bool:
        if not isinstance(error, ModelError) or not error.retryable or not may_repeat():
            return False
        return (error.retry_after or 0.0) <= _LONGEST_WAIT

    tries = 0
    first: ModelError | None = None

    async def attempt() -> Completion:
        nonlocal first, tries
        if first is not None:
            error, first = first, None
            raise error
        tries += 1
        return await once()

    try:
        return await attempt()
    except ModelError as error:
        if attempts == 1 or not again(error):
            raise
        first = error  # nearly all calls end above and do not pay for the loop, which begins with this first failure
    retrying = AsyncRetrying(stop=stop_after_attempt(attempts), wait=_wait, retry=retry_if_exception(again), reraise=True)
    completion: Completion = await retrying(attempt)
    return replace(completion, usage=replace(completion.usage, calls=tries))
