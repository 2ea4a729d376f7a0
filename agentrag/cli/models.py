"""`agentrag models`: what the catalogue holds, what is on this machine, and how it gets here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import clean, err, errors, fail, note, out, say

if TYPE_CHECKING:
    from agentrag.core.settings import Settings
    from agentrag.models.entries import ModelEntry, ModelFile

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, fetch and inspect local models.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name that `agentrag models list` shows.")]


@app.command("list")
def list_models() -> None:
    """List the models that have a name here, and which of them are on this machine."""
    with errors():
        from rich import box
        from rich.table import Table

        # lazy: --help needs none of it
        from agentrag.core.settings import load_settings
        from agentrag.models.catalogue import CATALOGUE, pulled_names

        settings = load_settings()
        pulled = pulled_names(settings.cache)
        used = _used(settings)
        table = Table("name", "licence", "size", "here", "used as", box=box.SIMPLE_HEAD, pad_edge=False)
        for entry in CATALOGUE.values():
            here = "yes" if entry.name in pulled else "no"
            table.add_row(entry.name, entry.licence, _size(entry.size), here, used.get(entry.name, ""))
        for name in pulled:
            if name not in CATALOGUE:
                table.add_row(clean(name), "from an address", "", "yes", used.get(name, ""))
        out().print(table)


@app.command("pull")
def pull(
    name: NameArgument,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="`packages`: through pip and its index settings. `hub`: the model's Hugging Face repository. "
            "Or an address with its hash, URL#sha256=HEX; NAME is then free.",
        ),
    ] = "packages",
) -> None:
    """Fetch a model, check its sha256, keep it in the cache. An interrupted pull goes on where it was."""
    with errors():
        from agentrag.core.settings import load_settings  # lazy: --help needs none of it

        files = pull_shown(name, load_settings().cache, source)
    for role, path in files.items():
        say(f"{role}: {path}")


def pull_shown(name: str, cache: Path, source: str = "packages") -> dict[str, Path]:
    """Pull a model with a progress bar on standard error, its licence shown first where it asks for that.

    Raises:
        CatalogueError: It cannot be had.
    """
    # lazy: --help needs none of it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from agentrag.models.catalogue import CATALOGUE
    from agentrag.models.pull import pull

    entry = CATALOGUE.get(name)
    if entry and entry.notice:
        note(f"{name}: {entry.notice}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None, what: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{name}: {clean(what)}")

        return pull(name, cache, source, show)


@app.command("info")
def info(name: NameArgument) -> None:
    """Show a model's files, hashes, licence, who packaged it, and where it lies."""
    with errors():
        # lazy: --help needs none of it
        from agentrag.core.errors import unknown
        from agentrag.core.settings import load_settings
        from agentrag.models.catalogue import CATALOGUE

        cache = load_settings().cache
        if name not in CATALOGUE:
            raise fail(unknown("model", name, CATALOGUE))
        entry = CATALOGUE[name]
        for line in [*_about(entry), *_where(entry, cache)]:
            say(line)


def _about(entry: ModelEntry) -> Iterator[str]:
    yield f"{entry.name}: {entry.about}"
    yield f"licence   {entry.licence}" + (f" ({entry.notice})" if entry.notice else "")
    yield f"upstream  {entry.upstream}"
    yield f"packages  {entry.packager} Only their files are read; their code is not installed and not run."
    for file in entry.files:
        yield f"{file.role:9} {file.name}, {file.size:,} bytes, sha256 {file.sha256}"
        yield f"          from {_packages(file)}"
        same = "the same file" if file.hub.same else "may differ from the packaged one; checked against the hub's own hash"
        yield f"          or --from hub: {file.hub.repo}, {file.hub.path} ({same})"


def _packages(file: ModelFile) -> str:
    first, last = file.parts[0], file.parts[-1]
    if first is last:
        return f"{first.package} {first.version}, {first.path}"
    return f"{len(file.parts)} packages, {first.package} {first.version} to {last.package}, joined in order; {first.path} ..."


def _where(entry: ModelEntry, cache: Path) -> Iterator[str]:
    from agentrag.core.errors import CatalogueError, NotPulledError  # lazy: --help needs none of it
    from agentrag.models.catalogue import folder, model_files, read_record

    try:
        files = model_files(entry.name, cache)
    except NotPulledError as error:
        yield f"here      no. {error}"
        return
    except CatalogueError as error:
        yield f"here      damaged: {error}"
        return
    record = read_record(folder(entry.name, cache))
    yield f"here      yes, from {record.source if record else 'unknown'}"
    yield from (f"          {path}" for path in files.values())


def _used(settings: Settings) -> dict[str, str]:
    from agentrag.core.bindings import LlamaCpp  # lazy: --help needs none of it

    local = [binding.model for binding in settings.chain("default").values() if isinstance(binding, LlamaCpp)]
    return {**dict.fromkeys(local, "default"), settings.embedder: "embedder"}


def _size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
