"""Server-sent events as model servers send them: one `data:` line per event."""

from __future__ import annotations

from collections.abc import Iterator


class DataLines:
    r"""Cuts a byte stream into what stands behind `data:`, line by line.

    Comments, other fields and blank lines are skipped; lines may end in LF or CRLF and be cut anywhere between chunks.

    >>> lines = DataLines()
    >>> list(lines.feed(b'data: 1\n\nda')), list(lines.feed(b'ta: 2')), list(lines.end())
    ([b'1'], [], [b'2'])
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take more bytes and yield the lines that are complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()

    def end(self) -> Iterator[bytes]:
        """Yield the last line, where it has no end."""
        return self.feed(b"\n") if self._rest else iter(())
