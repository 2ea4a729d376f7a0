"""One process at a time: who opens a collection's index or writes it holds its lock, and a killed process loses it."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout


class CollectionLock:
    """An exclusive lock on a collection's folder, with the holder's process id beside it."""

    def __init__(self, folder: Path) -> None:
        # not per thread: searches run in worker threads, and any of them may close the collection
        self._lock = FileLock(folder / "lock", timeout=0, thread_local=False)
        self._holder = folder / "lock.pid"

    def acquire(self) -> bool:
        """Take the lock if nobody has it; never waits.

        Raises:
            OSError: The folder cannot be written.
        """
        try:
            self._lock.acquire()
        except Timeout:
            return False
        self._holder.write_text(str(os.getpid()))
        return True

    def holder(self) -> int | None:
        """Process id of who holds the lock; None where it is not known."""
        try:
            return int(self._holder.read_text())
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Give the lock back. Calling it twice is allowed."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()
