"""Lists that models write, one item a line: the form that small models keep best."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARK = re.compile(
    r"^(?:[-*+>#\u2022\u2013\u2014]+(?=\s)"
    r"|\(?(?:\d{1,2}[.):\]]|[a-z]\))(?=[\s\"'*])"
    r"|(?:[a-z]+[ -])?(?:query|question)\s*\d*\s*:"
    r"|q\d*\s*:)\s*",
    re.IGNORECASE,
)
_AROUND = " \t\"'`*_,[]{}\u201c\u201d\u2018\u2019\u00ab\u00bb"
_END = " \t.?!:;"


def listed(text: str, without: Iterable[str] = ()) -> list[str]:
    r"""Items of a list, one a line, without numbering, bullets, quotes and repeats.

    Lines that end in a colon announce a list, and lines without a letter or digit say nothing; both are left out, as is
    what equals an item of `without`. Case, punctuation at the end and the width of white space make no difference.

    >>> listed('Here you are:\n1. "How tall is it?"\n2) how tall is it\n- Its height')
    ['How tall is it?', 'Its height']
    """
    seen = {alike(item) for item in without}
    items = []
    for line in text.splitlines():
        item = _bare(line)
        key = alike(item)
        if not key or item.endswith(":") or key in seen:
            continue
        seen.add(key)
        items.append(item)
    return items


def alike(text: str) -> str:
    """What two items have in common that differ in case, punctuation at the end and white space only; "" without a word."""
    key = " ".join(text.casefold().split()).rstrip(_END)
    return key if re.search(r"[^\W_]", key) else ""


def _bare(line: str) -> str:
    """A line without what frames its item."""
    while (inner := _MARK.sub("", line.strip().strip(_AROUND), count=1)) != line:
        line = inner
    return line
