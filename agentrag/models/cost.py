"""What a call cost that failed: it rides on the error, so that a chain can add it up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agentrag.core.errors import ModelError
from agentrag.core.types import Usage

ONE = Usage(calls=1)


def cost_of(error: ModelError, unknown: Usage = ONE) -> Usage:
    """What the failed call cost; `unknown` where its client does not say."""
    return unknown if error.usage is None else error.usage


def add_cost(error: ModelError, usage: Usage) -> None:
    """Say that the failed call cost so much more."""
    error.usage = cost_of(error, Usage()) + usage


@contextmanager
def after(usage: Usage) -> Iterator[None]:
    """A block of a call that has cost `usage` already: an error that leaves it says so."""
    try:
        yield
    except ModelError as error:
        add_cost(error, usage)
        raise
