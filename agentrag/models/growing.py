"""A file that grows piece by piece and knows its sha256; what an earlier, interrupted pull left in it is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType

_BLOCK = 1 << 20


class Growing:
    """The end of a partial file, open for appending.

    Args:
        path: The partial file; what it holds already counts.
        keep: At most this many bytes of it are kept.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self.size = min(path.stat().st_size, keep) if path.exists() else 0
        self._digest = hashlib.sha256()
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._hash_what_is_there()

    def _hash_what_is_there(self) -> None:
        self._file.truncate(self.size)
        while block := self._file.read(_BLOCK):
            self._digest.update(block)

    def restart(self) -> None:
        """Forget everything: the source cannot continue where the file ends."""
        self._file.seek(0)
        self._file.truncate(0)
        self.size = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Hex sha256 of all bytes so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
