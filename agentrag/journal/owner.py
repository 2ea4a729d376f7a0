"""Who works on runs: each open journal holds a lock file for as long as it is open, and names it at the runs that it works on.

The kernel gives the lock back when a process ends in any way, so nobody waits for one that was killed, and a process id that
was given to another process says nothing wrong. The folder of the journal must be one that its processes share.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from filelock import FileLock, Timeout

from agentrag.core.errors import RunBusyError

_NAME = re.compile(r"\d+-[0-9a-f]{16}")
_PATIENCE = 0.05
"""Seconds: somebody else may just be looking whether the same lock is held, which takes a tenth of a millisecond."""


class Owner:
    """One open journal as the one that works on runs.

    Attributes:
        name: Its process id and a random part; other journals see by it whether the owner lives.
    """

    def __init__(self, journal: Path) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._journal, self._file = journal, _file_of(journal, self.name)
        self._lock: FileLock | None = None

    def hold(self) -> None:
        """Take the lock, and remove what killed processes left. Cost: 0.3 ms once, then nothing.

        Raises:
            OSError: The folder cannot be written, or there is no file handle left.
        """
        if self._lock is None:
            lock = _lock(self._file)
            # somebody may take the new file for one that a killed process left
            lock.acquire(timeout=1.0)
            self._lock = lock
            for file in _others(self._file):
                _is_held(file)

    def refuse_busy(self, run: str, owner: str | None) -> None:
        """Refuse to take a run from the owner that its record names, unless that is this one or has ended.

        Raises:
            RunBusyError: See above.
        """
        if owner is not None and owner != self.name and is_alive(self._journal, owner):
            raise RunBusyError(run, int(owner.partition("-")[0]))

    def release(self) -> None:
        """Give the lock back. Calling it twice is allowed."""
        if self._lock is not None and self._lock.is_locked:
            self._file.unlink(missing_ok=True)
            self._lock.release()
        self._lock = None


def is_alive(journal: Path, owner: str, patience: float = _PATIENCE) -> bool:
    """Whether an owner still has its journal open; also where that cannot be seen because its lock may not be tried."""
    return _NAME.fullmatch(owner) is not None and _is_held(_file_of(journal, owner), patience)


def _is_held(file: Path, patience: float = 0.0) -> bool:
    """Whether somebody holds a lock. The file of one that nobody holds is removed: its name is never used again."""
    if not file.exists():
        return False
    lock = _lock(file)
    try:
        lock.acquire(timeout=patience, poll_interval=0.005)
        file.unlink(missing_ok=True)
    except (Timeout, OSError):
        return True
    finally:
        lock.release()
    return False


def _file_of(journal: Path, owner: str) -> Path:
    place = journal.resolve()  # all that open it by whatever name must look for the same file
    return place.with_name(f"{place.name}-{owner}.lock")


def _lock(file: Path) -> FileLock:
    # not per thread: a journal may be closed by another thread than the one that began the first run
    return FileLock(file, timeout=0, thread_local=False, mode=0o600)


def _others(own: Path) -> list[Path]:
    """Lock files of the other owners of the same journal."""
    journal = own.name.removesuffix(".lock").rsplit("-", 2)[0]
    named = re.compile(rf"{re.escape(journal)}-{_NAME.pattern}\.lock")
    with os.scandir(own.parent) as entries:
        return [Path(entry.path) for entry in entries if named.fullmatch(entry.name) and entry.name != own.name]
