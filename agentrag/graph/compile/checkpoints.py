"""Where LangGraph's checkpoints are kept, and what they may hold: the types of the state, whatever a checkpointer allows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from copy import copy
from typing import Any, get_args, get_type_hints

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agentrag.core.errors import StoreError
from agentrag.core.settings import Settings, load_settings

Saver = BaseCheckpointSaver[Any]
FILE = "threads.sqlite"
"""Name of the file of checkpoints in the settings' home, or in the folder of a tenant there."""


@asynccontextmanager
async def open_checkpointer(settings: Settings | None = None) -> AsyncIterator[Saver]:
    """A checkpointer of LangGraph that keeps threads over restarts, for `Graph.to_langgraph`; it closes with the context.

    It is LangGraph's AsyncSqliteSaver on `threads.sqlite` in the settings' home, a file that only its owner may read; each
    tenant has one of its own. Read from agentrag.yaml and the environment where `settings` is None.

    Raises:
        StoreError: The file cannot be opened.
    """
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # lazy: only threads on disk need it

    settings = settings or load_settings()
    file = settings.own(settings.home) / FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Threads cannot be kept in {file}: {error.strerror or error}") from error
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        yield saver


def allowing(checkpointer: Saver | None, kinds: Iterable[Any]) -> Saver | None:
    """The checkpointer, able to read back values of these types and, but for LangGraph's own, of no others.

    LangGraph sees to that where LANGGRAPH_STRICT_MSGPACK was set before it was imported. Where it was imported first, its
    serializer would build whatever a checkpoint names, and log a warning about every type.
    """
    serde = getattr(checkpointer, "serde", None)
    if checkpointer is None or not isinstance(serde, JsonPlusSerializer) or not _allows_all(serde):
        return checkpointer
    strict = copy(checkpointer)
    names = sorted({name for kind in kinds for name in _classes(kind, set())})
    strict.serde = JsonPlusSerializer(pickle_fallback=serde.pickle_fallback, allowed_msgpack_modules=names)
    return strict


def _allows_all(serde: JsonPlusSerializer) -> bool:
    return serde.with_msgpack_allowlist([("agentrag", "any other name")]) is serde


def _classes(kind: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """The classes in a type, those of fields included, as (module, name)."""
    for inner in get_args(kind):
        yield from _classes(inner, seen)
    if isinstance(kind, type) and kind.__module__ != "builtins" and kind not in seen:
        seen.add(kind)
        yield kind.__module__, kind.__name__
        with suppress(NameError):  # a field's type may be one that only type checkers import
            for inner in get_type_hints(kind).values():
                yield from _classes(inner, seen)
