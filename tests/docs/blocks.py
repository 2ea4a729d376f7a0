"""The fenced blocks of README, CHANGELOG and docs/.

A comment `<!-- with: NAME -->` right before a block says that it runs with the real model NAME of the catalogue; without one, a
stub of a model server answers. The embedder is always the real one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tools.build_docs import pages
from tools.doc_regions import ROOT

RUN = ("bash", "python", "yaml")
PLAIN = ("text",)
_WITH = re.compile(r"<!-- with: (?P<model>[a-z0-9.-]+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its fence, from 1; `model` is "" for the stub."""

    page: str
    line: int
    language: str
    text: str
    model: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """All fenced blocks, in order."""
    return [block for page in pages() for block in _of(page)]


def _of(page: Path) -> list[Block]:
    found, model = [], ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"}:
            name = str(page.relative_to(ROOT))
            found.append(Block(name, (token.map or [0])[0] + 1, token.info.strip(), token.content, model))
        match = _WITH.search(token.content) if token.type == "html_block" else None
        model = match["model"] if match else ""
    return found
