"""Server-sent events as model servers send them: one `data:` line per event."""

from __future__ import annotations

from collections.abc import Iterator

from agentrag.core.errors import ModelError

LONGEST_LINE = 16 << 20
"""Bytes of a line: what is longer is no answer."""


class DataLines:
    r"""Cuts a byte stream into what stands behind `data:`, line by line.

    Comments, other fields and blank lines are skipped; lines may end in LF, CRLF or CR and be cut anywhere between chunks.

    >>> lines = DataLines()
    >>> list(lines.feed(b'data: 1\n\nda')), list(lines.feed(b'ta: 2')), list(lines.end())
    ([b'1'], [], [b'2'])
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined once a line is complete: a long one comes in many chunks
        self._size = 0
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take more bytes and yield the lines that are complete now."""
        first, *others = chunk.replace(b"\r", b"\n").split(b"\n")
        self._keep(first)
        for part in others:
            line = b"".join(self._parts)
            self._parts, self._size = [], 0
            self._keep(part)
            if not self._begun:
                self._begun, line = True, line.removeprefix(b"\xef\xbb\xbf")
            if line.startswith(b"data:"):
                yield line[5:].strip()

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > LONGEST_LINE:
            raise ModelError("The model server sent a line of more than 16 MiB.", retryable=True)

    def end(self) -> Iterator[bytes]:
        """Yield the last line, where it has no end."""
        return self.feed(b"\n") if self._size else iter(())
