"""Fill the generated regions of README.md and docs/, which stand between `<!-- begin: NAME -->` and `<!-- end: NAME -->`.

Run: python -m tools.build_docs
"""

from __future__ import annotations

import re
from pathlib import Path

from tools.doc_regions import REGIONS, ROOT

_REGION = re.compile(r"(<!-- begin: (?P<name>[a-z]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def pages() -> list[Path]:
    """README, CHANGELOG and every page of docs/, sorted."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """The page with its regions as they should be; a region without content keeps what it has.

    Raises:
        KeyError: A region has a name that nothing generates.
    """

    def fill(match: re.Match[str]) -> str:
        content = REGIONS[match["name"]]()
        return f"{match[1]}\n{content}\n\n{match[3]}" if content else match[0]

    return _REGION.sub(fill, text)


def stale() -> list[Path]:
    """Pages whose generated regions are not what the code says now."""
    return [page for page in pages() if filled(text := page.read_text(encoding="utf-8")) != text]


def main() -> None:
    for page in stale():
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"updated {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
