"""Which loader reads which file: by name first, but what the first bytes say wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentrag.core.errors import DocumentError
from agentrag.core.registry import Registry
from agentrag.ingest.documents import Documents, Reading

Load = Callable[[Reading], Documents]
_HEAD = 1024


@dataclass(frozen=True)
class Format:
    """How one kind of file is read.

    Attributes:
        suffixes: Lower-case file name endings with their dot.
        load: Yields the documents of a file, each read to its end before the next is asked for.
        version: Part of every fingerprint: raise it when the extracted text changes, and files are read again.
        records: The file holds many documents, each with its own fingerprint.
        only: In folders, only files with one of these names are taken; empty: all.
    """

    suffixes: tuple[str, ...]
    load: Load
    version: int = 1
    records: bool = False
    only: tuple[str, ...] = ()


loader: Registry[Format] = Registry("loader")
"""Formats by name. Plugins register theirs by the entry point group `agentrag.loaders`."""


def pick(path: Path, *, named: bool) -> tuple[str, Format]:
    """Name and format of a file.

    Args:
        path: A readable file.
        named: The user named this very file, so a format that takes only certain names in folders takes it too.

    Raises:
        DocumentError: No loader reads such files; the reason says which endings are known.
        OSError: The file cannot be opened.
    """
    by_suffix, by_content = _by_suffix(path), _by_content(path)
    name = by_content if by_suffix or by_content == "pdf" else None
    name = name or by_suffix
    if name is None:
        known = " ".join(suffix for entry in loader for suffix in loader[entry].suffixes)
        raise DocumentError(str(path), f"unknown file type '{path.suffix or path.name}'" + f"; known are {known}" * named)
    found = loader[name]
    if found.only and not named and path.name.lower() not in found.only:
        raise DocumentError(str(path), f"not a document: of such files, folders give only {' and '.join(found.only)}")
    return name, found


def _by_suffix(path: Path) -> str | None:
    low = path.name.lower()
    return next((name for name in loader for suffix in loader[name].suffixes if low.endswith(suffix)), None)


def _by_content(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"%PDF-" in head:
        return "pdf"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return None
