"""From paths to files: folders are walked in order, and whatever is not taken is reported with its reason."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agentrag.ingest.documents import storable


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read.

    Attributes:
        path: Absolute and resolved.
        size: Its bytes.
        named: The user named this very file, rather than a folder around it.
    """

    path: Path
    size: int
    named: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not read, and why; `named` as in Found."""

    source: str
    reason: str
    named: bool = False


@dataclass
class Walk:
    """What paths lead to.

    Attributes:
        files: Every file once, in the order of the paths, inside folders by name.
        skipped: What is no file to read. Hidden entries of folders are passed over in silence.
        roots: The given paths that exist, resolved.
    """

    files: list[Found] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)


def walk(paths: Iterable[Path]) -> Walk:
    """Find the files of paths. Folders are entered; symbolic links in them count only where they stay inside.

    Cost: one stat a file.
    """
    found = Walk()
    seen: set[Path] = set()
    for given in paths:
        for entry in _visit(given, found.roots):
            if isinstance(entry, Skipped):
                found.skipped.append(entry)
            elif entry.path not in seen:
                seen.add(entry.path)
                found.files.append(entry)
    return found


def _visit(given: Path, roots: list[Path]) -> Iterator[Found | Skipped]:
    try:
        path = given.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        yield _skipped(given.absolute(), why(error), named=True)
        return
    roots.append(path)
    if path.is_dir():
        yield from _folder(path)
    else:
        yield _file(path, named=True)


def _folder(root: Path) -> Iterator[Found | Skipped]:
    errors: list[OSError] = []
    for name, folders, files in os.walk(root, onerror=errors.append):
        folder = Path(name)
        folders[:] = sorted(entry for entry in folders if not entry.startswith("."))
        for entry in sorted([*files, *(inner for inner in folders if (folder / inner).is_symlink())]):
            if entry.startswith("."):
                continue
            path = folder / entry
            if path.is_symlink():
                yield from _link(path, root)
            else:
                yield _file(path, named=False)
    for error in errors:
        yield _skipped(Path(error.filename), why(error), named=Path(error.filename) == root)


def _link(path: Path, root: Path) -> Iterator[Found | Skipped]:
    """A link to a file of the tree is that file; one to a folder of the tree adds nothing, and may be a loop."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        yield _skipped(path, f"a broken link: {why(error)}")
        return
    if not target.is_relative_to(root):
        yield _skipped(path, "a link out of the folder; name its target to ingest it")
    elif not target.is_dir():
        yield _file(target, named=False)


def _file(path: Path, *, named: bool) -> Found | Skipped:
    try:
        status = path.stat()
    except OSError as error:
        return _skipped(path, why(error), named=named)
    if not stat.S_ISREG(status.st_mode):
        return _skipped(path, "not a regular file", named=named)
    if status.st_size == 0:
        return _skipped(path, "empty", named=named)
    return Found(path, status.st_size, named)


def _skipped(path: Path, reason: str, *, named: bool = False) -> Skipped:
    return Skipped(storable(str(path)), reason, named)


def why(error: Exception) -> str:
    """The reason of a file system error in a few words."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "not readable: permission denied"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "a loop of links"
