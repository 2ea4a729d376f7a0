"""`agentrag runs export` and `agentrag runs prune`: what leaves a journal."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import errors, fail, note, say

if TYPE_CHECKING:
    from agentrag.recorded import Pruned

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, a beginning of it, or `last`.")]
JournalOption = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="The journal; where none is given, journal.sqlite in the settings' home."),
]
_AGE = re.compile(r"(\d+(?:\.\d+)?)(m|h|d|w)")
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|kB|MB|GB)")
_BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def export(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs, beginnings of them, or `last`.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="*.jsonl: lines of JSON without credentials; else a journal."),
    ],
    journal: JournalOption = None,
) -> None:
    """Write runs to a file of their own.

    A journal keeps them whole: it can be replayed, resumed and forked with --journal FILE.
    Lines of JSON are for people and programs; credentials in them are blanked.
    """
    with errors():
        from agentrag.runs import Runs  # lazy: --help needs none of it

        for run in Runs(journal=journal).export(runs, output):
            say(run)


def prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Runs last worked on longer ago, e.g. 12h, 30d or 8w.")
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="All but the N newest.")] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="The oldest, until SIZE is left, e.g. 500MB or 2GB.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="With --older-than: also runs that did not end or wait for a person.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    journal: JournalOption = None,
) -> None:
    """Delete recorded runs and give their space back."""
    age = None if older_than is None else timedelta(minutes=_read(older_than, _AGE, _MINUTES, "--older-than"))
    size = None if max_size is None else int(_read(max_size, _SIZE, _BYTES, "--max-size"))
    if age is None and keep is None and size is None:
        raise fail("say which runs: --older-than, --keep or --max-size", 2)
    if unfinished and age is None:
        raise fail("--unfinished goes with --older-than", 2)
    with errors():
        from agentrag.runs import Runs  # lazy: --help needs none of it

        recorded = Runs(journal=journal)
        if dry_run or not yes:
            found = recorded.prune(age, keep, size, unfinished=unfinished, dry=True)
            say(f"{_told(found)} would be deleted.")
            for run in found.runs:
                say(f"  {run}")
            if dry_run or not found.runs:
                return
            typer.confirm("Delete them?", abort=True)
        deleted = recorded.prune(age, keep, size, unfinished=unfinished)
    say(f"{_told(deleted)} were deleted.")


def check(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the runs that are whole to a new journal.")
    ] = None,
    journal: JournalOption = None,
) -> None:
    """Look whether the whole journal can be read.

    What is damaged is told run by run; the exit code is then 1. With -o the runs that are whole are
    saved, those of all tenants.
    """
    with errors():
        # lazy: --help needs none of it
        from agentrag.journal.check import check as checked
        from agentrag.runs import Runs

        path = Runs(journal=journal).path
        found = checked(path, output)
    for line in (*found.faults, *found.damaged.values()):
        say(line)
    say(f"{len(found.whole):,} runs are whole" + ("." if found.is_whole else f", {len(found.damaged):,} are not."))
    if not found.is_whole:
        note(f"what SQLite itself can still read: sqlite3 {path} .recover")
        raise typer.Exit(1)


def _told(deleted: Pruned) -> str:
    runs = f"{len(deleted.runs):,} run" + ("" if len(deleted.runs) == 1 else "s")
    return f"{runs} and {deleted.bytes / 1e3:,.0f} kB"


def _read(text: str, pattern: re.Pattern[str], units: dict[str, float] | dict[str, int], option: str) -> float:
    match = pattern.fullmatch(text)
    if match is None:
        raise fail(f"{option} takes a number with one of {', '.join(units)} behind it, not '{text}'", 2)
    return float(match[1]) * units[match[2]]
