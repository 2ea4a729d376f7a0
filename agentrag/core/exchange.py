"""Exchanges: leave to go to a server once more for one call.

`Deps` reserves the first exchange of a call in the run's budget. A client that retries, repairs a reply or falls back to
another model asks here before each further one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from agentrag.core.types import ChatRequest

Leave = Callable[[ChatRequest, bool], bool]
_leave: ContextVar[Leave | None] = ContextVar("leave", default=None)


def may_exchange(request: ChatRequest, *, repair: bool = False) -> bool:
    """Whether the budget has room for one more exchange with this request; where it has, the exchange is reserved.

    True outside of a run. A client that is told False ends with the error that it has.

    Args:
        request: What would be sent.
        repair: The exchange before was answered, and cost tokens; else it failed, and cost none.
    """
    leave = _leave.get()
    return leave is None or leave(request, repair)


@contextmanager
def asking(leave: Leave) -> Iterator[None]:
    """Let `leave` decide on further exchanges in this block and in tasks that begin in it."""
    token = _leave.set(leave)
    try:
        yield
    finally:
        _leave.reset(token)
