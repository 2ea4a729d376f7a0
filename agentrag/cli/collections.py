"""`agentrag collections`: what is stored, whether it is whole, and how to mend or remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import clean, errors, fail, note, out, run_async, say

if TYPE_CHECKING:
    from agentrag.retrieval.collections import Collections

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, check, mend and delete collections.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name that `agentrag collections list` shows.")]


@app.command("list")
def list_collections() -> None:
    """List all collections with their sizes."""
    with errors():
        from rich import box  # lazy: --help needs no tables
        from rich.table import Table

        collections = _collections()
        names = collections.names()
        if not names:
            note("No collection yet. Make one with: agentrag ingest PATH --collection docs")
            return
        table = Table("name", "documents", "passages", "size", "embedder", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in names:
            about = collections.describe(name)
            size = f"{about.size / 1e6:,.1f} MB"
            table.add_row(name, f"{about.documents:,}", f"{about.passages:,}", size, clean(about.embedder))
        out().print(table)


@app.command("verify")
def verify(name: NameArgument) -> None:
    """Look every passage up in both indexes. Exit code 1 where something is lost."""
    with errors():
        collection = _collections().open(name)
        try:
            findings = collection.verify()
        finally:
            collection.close()
    for finding in findings:
        say(finding)
    if findings:
        raise fail(f"Collection '{name}' is damaged. Restore it with: agentrag collections rebuild {name}")
    say(f"Collection '{name}' is whole.")


@app.command("rebuild")
def rebuild(name: NameArgument) -> None:
    """Make the indexes anew from the stored texts and vectors; no model is needed."""

    async def main() -> None:
        collections = _collections()
        collections.open(name).close()  # an unknown name is refused, not made
        async with collections.open(name, write=True) as collection:
            await collection.rebuild()

    run_async(main)
    say(f"Collection '{name}' is rebuilt.")


@app.command("delete")
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a collection with all that is in it. The documents themselves stay."""
    with errors():
        collections = _collections()
        about = collections.describe(name)
        if not yes:
            typer.confirm(f"Delete '{name}' with {about.documents:,} documents?", abort=True)
        collections.delete(name)
    say(f"Collection '{name}' is deleted.")


def _collections() -> Collections:
    # lazy: --help needs none of it
    from agentrag.core.settings import load_settings
    from agentrag.retrieval.collections import Collections

    return Collections(load_settings(), None)
