"""A corpus in BEIR form: one JSON object a line with `id` (or `_id`), `title` and `text`, gzipped or not."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from agentrag.core.types import Scalar
from agentrag.ingest.documents import Document, Documents, Part, Reading, one_line, placed, storable
from agentrag.ingest.loaders.formats import Format, loader

_LINE = 16 << 20
_UNPACKED, _RATIO = 1 << 30, 200
NO_TEXT = "neither 'text' nor 'title'"
"""Why a record without any text is skipped."""
_OWN = {"id", "_id", "title", "text"}


class _NotARecordError(Exception):
    """A line cannot be a record."""


def load(reading: Reading) -> Documents:
    """Yield a document for each record; its text is `text`, or `title` where there is no text.

    Other fields that are strings, numbers or booleans, and those of an object `metadata`, become metadata. Lines that
    are no record are noted as problems, with their number, and skipped. Cost: memory for one line and all ids.

    Raises:
        DocumentError: The gzip stream is broken or a bomb; the records before that place were yielded.
    """
    seen: set[str] = set()
    for number, line in _lines(reading):
        try:
            document = _record(reading, line)
            if document.record in seen:
                raise _NotARecordError(f"id '{document.record}' was there before")
        except (_NotARecordError, ValueError, RecursionError) as error:
            reading.problem(f"line {number}: {one_line(str(error))}")
            continue
        seen.add(document.record)
        yield document


def _lines(reading: Reading) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank; the bytes of one over 16 MB are cut there."""
    with reading.path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw)
        number = 0
        unpacked = 0
        while line := _read(reading, stream):
            whole = line.endswith(b"\n") or len(line) < _LINE
            number += 1
            unpacked += len(line)
            while not whole:
                rest = _read(reading, stream)
                unpacked += len(rest)
                _check_size(reading, unpacked)
                whole = rest.endswith(b"\n") or len(rest) < _LINE
            _check_size(reading, unpacked)
            reading.done = raw.tell()
            if line.strip():
                yield number, line


def _read(reading: Reading, stream: IO[bytes]) -> bytes:
    try:
        return stream.readline(_LINE)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise reading.error(f"a broken gzip file ({one_line(str(error))})") from error


def _check_size(reading: Reading, unpacked: int) -> None:
    if unpacked > _UNPACKED and unpacked > _RATIO * reading.size:
        raise reading.error(f"a gzip bomb (over 1 GB, packed more than {_RATIO} to 1)")


def _record(reading: Reading, line: bytes) -> Document:
    """Read one line.

    Raises:
        _NotARecordError, ValueError: It is no record; the text says why.
    """
    if len(line) >= _LINE:
        raise _NotARecordError(f"longer than {_LINE >> 20} MB")
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise _NotARecordError("not a JSON object")
    name = fields.get("id", fields.get("_id"))
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise _NotARecordError("no 'id' (a string or an integer)")
    title, text = fields.get("title") or "", fields.get("text") or ""
    if not isinstance(title, str) or not isinstance(text, str):
        raise _NotARecordError("'title' and 'text' are not both strings")
    if not (text.strip() or title.strip()):
        raise _NotARecordError(NO_TEXT)
    # judgements and other programs know the record by its id as it is; only the source is made a line to be shown
    record = storable(str(name))
    text = (text if text.strip() else title).replace("\r\n", "\n")
    return Document(f"{reading.source}#{one_line(record)}", one_line(title), placed([Part(text)]), record, _metadata(fields))


def _metadata(fields: Mapping[str, Any]) -> dict[str, Scalar]:
    nested = fields.get("metadata")
    inner = nested if isinstance(nested, dict) else {}
    both = {**inner, **{key: value for key, value in fields.items() if key not in _OWN}}
    return {one_line(key): value for key, value in both.items() if _storable(value)}


def _storable(value: object) -> bool:
    """Whether a store can hold and compare it: strings, booleans, 64-bit integers and finite numbers."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return (isinstance(value, float) and math.isfinite(value)) or isinstance(value, str)


loader("corpus")(Format((".jsonl", ".jsonl.gz"), load, records=True, only=("corpus.jsonl", "corpus.jsonl.gz")))
