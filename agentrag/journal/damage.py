"""Records that are not what a journal writes: somebody edited the file, or a disk failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentrag.core.errors import StoreError


def parsed(path: Path, text: str | bytes, run: str, what: str) -> Any:
    """A record that is JSON as data; `what` says which one it is: "the inputs", "the note of step flow.0:a".

    Raises:
        StoreError: It does not parse.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, run, what) from error


def parsed_table(path: Path, text: str | bytes, run: str, what: str) -> dict[str, Any]:
    """The same for a record that holds values by name.

    Raises:
        StoreError: It does not parse, or is something else.
    """
    table = parsed(path, text, run, what)
    if not isinstance(table, dict):
        raise damaged(path, run, what)
    return table


@contextmanager
def sound(path: Path, run: str, what: str) -> Iterator[None]:
    """Take what cannot be made of a record's values, because they are of the wrong kind or missing, for damage.

    Raises:
        StoreError: See above.
    """
    try:
        yield
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise damaged(path, run, what) from error


def damaged(path: Path, run: str, what: str) -> StoreError:
    """Say which record of which run cannot be read."""
    return StoreError(f"Journal {path} cannot be read: {what} of run {run} is damaged. Other runs are not affected.")
