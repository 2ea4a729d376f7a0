from __future__ import annotations

import pytest

from agentrag.core.errors import ModelError
from agentrag.models.sse import LONGEST_LINE, DataLines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_may_end_in_any_way_and_begin_with_a_mark(end: bytes, size: int) -> None:
    stream = b"\xef\xbb\xbfdata: 1" + end * 2 + b": note" + end + b"data: 2" + end + b"data: 3"
    lines = DataLines()
    found = [line for at in range(0, len(stream), size) for line in lines.feed(stream[at : at + size])]
    assert [*found, *lines.end()] == [b"1", b"2", b"3"]


def test_a_line_without_an_end_is_given_up() -> None:
    lines = DataLines()
    for _ in range(LONGEST_LINE // 65536):
        assert list(lines.feed(b"x" * 65536)) == []
    with pytest.raises(ModelError, match="more than 16 MiB"):
        list(lines.feed(b"x"))
