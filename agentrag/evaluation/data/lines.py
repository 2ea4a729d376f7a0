"""Files of one JSON object a line, read as a stream; every fault is told with its file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError


def unique(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every line; each has a text under `id` (or BEIR's `_id`), which stands under `id` then.

    Raises:
        DataSetError: As `rows`, or an id is missing or occurs twice.
    """
    seen: dict[str, str] = {}
    for place, row in rows(path):
        if "id" not in row and "_id" in row:
            row["id"] = row.pop("_id")
        if isinstance(row.get("id"), int) and not isinstance(row["id"], bool):
            row["id"] = str(row["id"])
        name = text_of(place, row, "id")
        if name in seen:
            raise DataSetError(f"{place}: id '{name}' is already taken at {seen[name]}.")
        seen[name] = place
        yield place, row


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not blank; `place` is "file:line". Unpacks .gz files.

    Raises:
        DataSetError: There is no such file, it cannot be read, or a line is no JSON object.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            yield from parsed(path, lines)
    except FileNotFoundError as error:
        raise DataSetError(f"{path.parent} has no {path.name}.") from error
    except (OSError, EOFError) as error:
        raise DataSetError(f"{path} cannot be read: {error}") from error


def parsed(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not blank, of a file that is read already; a DataSetError where one is wrong."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", _row(f"{path}:{number}", line)


def text_of(place: str, row: dict[str, Any], key: str) -> str:
    """The text under a key; a DataSetError where there is none."""
    value = row.get(key)
    if not isinstance(value, str):
        raise DataSetError(f"{place}: has no text under '{key}'.")
    return value


def _row(place: str, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataSetError(f"{place}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataSetError(f"{place}: should be an object, is {type(row).__name__}.")
    return row
