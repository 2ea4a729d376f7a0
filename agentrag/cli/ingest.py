"""`agentrag ingest`: documents into a collection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import clean, err, fail, note, run_async, say, say_json

if TYPE_CHECKING:
    from agentrag.ingest.pipeline import Progress, Report

_SHOWN = 20


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    collection: Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="Where to; made where it is missing.")],
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents of these paths whose files are gone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Ingest PDF, HTML, DOCX, Markdown, text and corpus.jsonl(.gz) files: what is new or changed, nothing twice.

    It may be stopped at any time: what is complete stays, and the same command goes on from there.
    """
    if not any(path.exists() or path.is_symlink() for path in paths):
        # before anything is opened: a slip must not leave an empty collection
        raise [fail(one_line(f"{path}: no such file or folder")) for path in paths][-1]

    async def main() -> Report:
        # lazy: --help needs none of it
        from agentrag.core.settings import load_settings
        from agentrag.ingest.pipeline import Options
        from agentrag.ingest.pipeline import ingest as ingest_paths
        from agentrag.retrieval.collections import Collections
        from agentrag.retrieval.embed import open_embedder

        settings = load_settings()
        options = Options.of(settings, prune=prune)
        try:
            async with Collections(settings, open_embedder(settings)).open(collection, write=True) as opened:
                with progress_bar() as show:
                    return await ingest_paths(paths, opened, options, show)
        except asyncio.CancelledError:
            note("stopped: complete documents are kept; the same command goes on from there")
            raise

    report = run_async(main)
    if as_json:
        say_json(report.as_json())
    else:
        print_report(report, collection)
    if report.failed:
        raise [fail(one_line(f"{entry.source}: {entry.reason}")) for entry in report.failed][-1]


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error: a bar with rate and time left, or a plain line every ten seconds."""
    if not err().is_terminal:
        yield _lines()
        return
    # lazy: 30 ms that only terminals need
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Bar(*columns, TimeRemainingColumn(), console=err(), transient=True) as bar:
        task = bar.add_task("reading", total=None, rate="")

        def show(now: Progress) -> None:
            rate = now.passages / max(1e-9, bar.tasks[0].elapsed or 0.0)
            name = clean(Path(now.file).name).replace("\n", " ")[:32]
            bar.update(task, description=name, completed=now.done, total=now.total, rate=f"{rate:.0f} passages/s")

        yield show


def _lines(seconds: float = 10.0) -> Callable[[Progress], None]:
    from time import monotonic

    started = last = monotonic()

    def show(now: Progress) -> None:
        nonlocal last
        if monotonic() - last < seconds:
            return
        last = monotonic()
        spent = last - started
        left = f", {spent * (now.total - now.done) / now.done:.0f} s left" if now.done else ""
        share = 100 * now.done / max(1, now.total)
        note(f"{share:.0f} % read, {now.passages} passages, {now.passages / spent:.0f} passages/s{left}")

    return show


def print_report(report: Report, collection: str) -> None:
    """Print what was done, and on standard error what was skipped in folders and why."""
    others = [entry for entry in report.skipped if not entry.named]
    for entry in others[:_SHOWN]:
        note(one_line(f"skipped {entry.source}: {entry.reason}"))
    if len(others) > _SHOWN:
        note(f"skipped {len(others) - _SHOWN:,} more; --json lists them all")
    counts = ", ".join(f"{getattr(report, name):,} {name}" for name in ("added", "replaced", "unchanged", "removed"))
    say(f"{collection}: {counts}; {report.passages:,} passages in {report.seconds:.1f} s")


def one_line(text: str) -> str:
    """A name or reason without control characters and line ends."""
    return clean(text).replace("\n", " ").replace("\t", " ")
