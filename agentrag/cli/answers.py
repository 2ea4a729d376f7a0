"""Answers on the terminal: the draft while it is written, then the checked answer and its sources."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentrag.cli.budgets import budget_json
from agentrag.cli.console import clean, err, note, out, say
from agentrag.core.events import Event, StepStarted, Token
from agentrag.core.types import Citation

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from agentrag.app import Result

NOT_FOUND = "not in the documents"
NO_ANSWER = "no answer"
UNSUPPORTED = "[?]"
QUOTE_CHARACTERS = 160


class Draft:
    """The answer while it is written, on a terminal only; it vanishes when the context ends, for the checked answer.

    A draft taller than the terminal shows its last lines.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._step, self._text, self._node = "", "", "starting"

    def __enter__(self) -> Draft:
        if out().is_terminal:
            from rich.live import Live  # lazy: 40 ms that only a terminal needs

            self._live = Live(console=out(), transient=True, refresh_per_second=12, get_renderable=self._picture)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def see(self, event: Event) -> None:
        """Follow a run: the name of the node at work until the answer's first piece, then the answer."""
        if isinstance(event, StepStarted):
            self._node = event.node
        elif isinstance(event, Token) and event.channel == "answer":
            if event.step != self._step:
                self._step, self._text = event.step, ""
            self._text += event.text

    def _picture(self) -> Text:
        from rich.text import Text

        if not self._text.strip():
            return Text(f"{clean(self._node)} ...", style="dim")
        console = out()
        lines = Text(clean(self._text.lstrip())).wrap(console, console.width)
        return Text("\n").join(lines[-(console.height - 2) :])


def print_answer(result: Result) -> None:
    """Print the answer, in which [?] marks what nothing supports, then the sources it cites."""
    answer = str(result.outputs.get("answer", ""))
    say(answer or (NO_ANSWER if result.best_effort else NOT_FOUND))
    if result.outputs.get("abstained"):
        if result.state.get("passages") == []:
            note("the search found no passage at all; what collections hold: agentrag collections list")
        return
    if UNSUPPORTED in answer:
        note(f"{UNSUPPORTED} marks a sentence that no passage supports")
    print_sources(result.outputs.get("citations", ()))


def print_sources(citations: Sequence[Citation]) -> None:
    """Print one line a citation: its number, where it stands, and the quote cut to 160 characters."""
    if not citations:
        return
    say()
    out().print("Sources", style="bold")
    for citation in citations:
        out().print(clean(f"[{citation.n}] {place(citation)}"), markup=False, end="")
        out().print(clean(f'  "{shortened(citation.quote)}"'), markup=False, style="dim")


def place(citation: Citation) -> str:
    """Where a citation stands, e.g. `handbook.pdf, page 3, Rooms > Beds`; below the current folder the path is relative."""
    here = str(Path.cwd()) + os.sep
    source = citation.source.removeprefix(here)
    page = f"page {citation.page}" if citation.page is not None else ""
    return ", ".join(part for part in (source, page, citation.heading) if part)


def shortened(quote: str) -> str:
    """The quote on one line, cut at a word within 160 characters.

    >>> shortened("one   two ")
    'one two'
    """
    line = re.sub(r"\s+", " ", quote).strip()
    if len(line) <= QUOTE_CHARACTERS:
        return line
    return line[: QUOTE_CHARACTERS - 4].rsplit(" ", 1)[0] + " ..."


def as_json(result: Result) -> dict[str, Any]:
    """The answer as JSON data: answer, abstained, citations, usage by node, run."""
    return {
        "answer": result.outputs.get("answer", ""),
        "abstained": bool(result.outputs.get("abstained", False)),
        "citations": [asdict(citation) for citation in result.outputs.get("citations", [])],
        "usage": {node: asdict(usage) for node, usage in result.usage.items()},
        "run": result.run,
        **budget_json(result),
    }


def note_cost(result: Result) -> None:
    """Say on standard error what the answer cost, where a person watches."""
    if not err().is_terminal:
        return
    tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in result.usage.values())
    usd = sum(usage.usd for usage in result.usage.values())
    err().print(f"{result.seconds:.1f} s, {tokens:,} tokens" + (f", {usd:.4f} USD" if usd else ""), style="dim")
