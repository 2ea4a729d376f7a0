"""Try a model call again when that can help. Nothing else around a call of a client retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from agentrag.core.errors import ModelError
from agentrag.core.exchange import may_exchange
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.breaker import Breaker
from agentrag.models.cost import add_cost

ATTEMPTS = 4
PAUSE = 0.5
_DOUBLINGS = 16
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a client tries.

    Attributes:
        attempts: Most exchanges for one call, >= 1.
        pause: Bound of the random pause before the second attempt, in seconds; it doubles up to 16 times that.
        breaker: That of the endpoint; None where nothing watches it.
    """

    attempts: int = ATTEMPTS
    pause: float = PAUSE
    breaker: Breaker | None = None

    def guarded(self) -> AbstractContextManager[None]:
        """A block for one exchange, which an open circuit refuses."""
        return self.breaker.call() if self.breaker else nullcontext()

    @property
    def rest(self) -> float:
        """Seconds for which the circuit is open."""
        return self.breaker.rest if self.breaker else 0.0


ONCE_MORE = Retries()


async def with_retries(
    once: Callable[[], Awaitable[Completion]],
    request: ChatRequest,
    may_repeat: Callable[[], bool],
    retries: Retries = ONCE_MORE,
) -> Completion:
    """Call `once` until it succeeds, its error is final, its attempts are used up or the budget has no room for another.

    The usage counts every exchange, and so does the cost of the error. An open circuit is waited for by a call that
    its server told to wait, at most a minute, and by no other.

    Args:
        once: One exchange with the server.
        request: What is asked, for which leave is taken before each further exchange.
        may_repeat: False once text was handed out: an answer cannot be taken back.
        retries: How often, and after which pauses.

    Raises:
        ModelError: The last error. A server that asks to wait for more than a minute is not waited for.
    """
    tries = 0
    first: ModelError | None = None

    def again(error: BaseException) -> bool:
        if not isinstance(error, ModelError) or not error.retryable or tries >= retries.attempts:
            return False
        if not may_repeat() or max(error.retry_after or 0.0, retries.rest) > _LONGEST_WAIT:
            return False
        if retries.rest and not (tries and error.retry_after):
            return False
        return may_exchange(request)

    async def attempt() -> Completion:
        nonlocal first, tries
        if first is not None:
            error, first = first, None
            raise error
        with retries.guarded():
            tries += 1
            return await once()

    try:
        return await attempt()
    except ModelError as error:
        first = error  # nearly all calls end above and do not pay for the loop, which begins with this first failure
    stop = stop_after_attempt(retries.attempts)
    retrying = AsyncRetrying(stop=stop, wait=_waits(retries), retry=retry_if_exception(again), reraise=True)
    try:
        completion: Completion = await retrying(attempt)
    except ModelError as error:
        add_cost(error, Usage(calls=tries))
        raise
    return replace(completion, usage=replace(completion.usage, calls=tries))


def _waits(retries: Retries) -> Callable[[RetryCallState], float]:
    """Seconds to wait: what the server asked for, else a random, growing time; and as long as the circuit rests."""
    pause = retries.pause
    backoff = wait_random_exponential(multiplier=pause, max=_DOUBLINGS * pause)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ModelError) else None
        return max(backoff(state) if asked is None else asked, retries.rest)

    return wait
