"""Check the documentation: generated parts are current, links lead somewhere, everything shipped is mentioned.

Run: python -m tools.check_docs (exit code 1 with one line a finding)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tools.build_docs import pages, stale
from tools.doc_regions import ROOT

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
_MACHINE = re.compile(r"(?<![\w.])/(?:home|Users|root|work|tmp|var/tmp)/[\w.-]+")


def main() -> None:
    found = findings()
    for finding in found:
        print(finding)
    if found:
        sys.exit(1)
    print(f"docs: {len(pages())} pages, all current")


def findings() -> list[str]:
    """All that is wrong, one line each."""
    return [*_stale(), *broken_links(), *_unmentioned(), *machine_paths()]


def _stale() -> Iterator[str]:
    for page in stale():
        yield f"{page.relative_to(ROOT)}: generated parts are not current; run: make docs"


def broken_links() -> Iterator[str]:
    """Links to files, pictures and headings of the repository that are not there."""
    for page in pages():
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for match in _LINK.finditer(_CODE.sub("", text)):
            target = match["target"]
            if not re.match(r"[a-z]+:", target) and (reason := _broken(page, target)):
                yield f"{page.relative_to(ROOT)}: link {target} {reason}"


def _broken(page: Path, target: str) -> str:
    path, _, anchor = unquote(target).partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.is_relative_to(ROOT):
        return "leaves the repository"
    if not goal.exists():
        return "leads nowhere"
    if anchor and goal.suffix == ".md" and anchor not in _anchors(goal):
        return "names a heading that is not there"
    return ""


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _unmentioned() -> Iterator[str]:
    from agentrag.cli.main import app
    from agentrag.core.prompts import Prompts
    from agentrag.core.resources import shipped_graphs

    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    wanted = {f"agentrag {name}" for name in names} | {f"`{name}`" for name in (*Prompts().names(), *shipped_graphs())}
    for name in sorted(wanted):
        if name not in text:
            yield f"docs: {name.strip('`')} is mentioned nowhere"


def machine_paths() -> Iterator[str]:
    """Paths that exist on one machine only."""
    for page in pages():
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            if found := _MACHINE.search(line):
                yield f"{page.relative_to(ROOT)}:{number}: {found[0]} is a path of one machine"


if __name__ == "__main__":
    main()
