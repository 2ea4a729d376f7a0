"""`agentrag demo`: from nothing to a cited answer, with the documents that ship with the package."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentrag.cli.console import note, out, run_async, say
from agentrag.cli.options import EveryModelOption, ModelsOption, bindings

if TYPE_CHECKING:
    from agentrag.core.settings import Settings

COLLECTION = "demo"
QUESTION = "How many beds does Lantern House have?"
NEXT = (
    f'ask "What must I do when a generator does not start?" --collection {COLLECTION}',
    f"chat --collection {COLLECTION}",
    "ingest PATH --collection docs",
)


def demo(every: EveryModelOption = None, models: ModelsOption = None) -> None:
    """Get models, ingest sample documents, ask them."""
    slots = bindings(every, models)
    run_async(lambda: _demo(slots))


async def _demo(slots: Mapping[str, str]) -> None:
    # lazy: --help needs none of it
    from agentrag.app import Graph
    from agentrag.cli import answers
    from agentrag.cli.models import pull_shown
    from agentrag.core.settings import load_settings

    settings = load_settings()
    for model in _needed(settings, slots.get("*", "default")):
        note(f"getting {model}")
        pull_shown(model, settings.cache)
    await _ingest(settings)
    note(f"asking: {QUESTION}")
    with answers.Draft() as draft:
        result = await Graph.load("ask").run(
            settings=settings, models=slots, collections={"docs": COLLECTION}, on_event=draft.see, question=QUESTION
        )
    out().print(QUESTION, style="bold")
    answers.print_answer(result)
    answers.note_cost(result)
    say()
    say("Try next:")
    for command in NEXT:
        say(f"  {_typed(sys.argv[0])} {command}")


def _typed(program: str) -> str:
    """How to call this program again: by name where the shell finds it, else as it was called."""
    if Path(program).name == "__main__.py":
        return "python -m agentrag"
    found = shutil.which("agentrag")
    return "agentrag" if found and Path(found).absolute() == Path(program).absolute() else program


def _needed(settings: Settings, binding: str) -> Iterator[str]:
    """Models that are not on this machine yet: those of the binding or chain that are local, and the embedder."""
    from agentrag.core.bindings import LlamaCpp
    from agentrag.core.errors import NotPulledError
    from agentrag.models.catalogue import model_files

    local = [chat.model for chat in settings.chain(binding).values() if isinstance(chat, LlamaCpp)]
    for model in [*local, settings.embedder]:
        try:
            model_files(model, settings.cache)
        except NotPulledError:
            yield model


async def _ingest(settings: Settings) -> None:
    from agentrag.cli.ingest import print_report, progress_bar
    from agentrag.ingest.pipeline import Options, ingest
    from agentrag.retrieval.collections import Collections
    from agentrag.retrieval.embed import open_embedder

    note("ingesting the sample documents")
    library = Collections(settings, open_embedder(settings))
    async with library.open(COLLECTION, write=True) as collection:
        with progress_bar() as show:
            report = await ingest(samples(), collection, Options.of(settings), show)
    print_report(report, COLLECTION)


def samples() -> list[Path]:
    """The sample documents, sorted by name."""
    from agentrag.core.resources import shipped

    formats = {".pdf", ".html", ".docx", ".md", ".txt"}
    return sorted(path for path in Path(str(shipped("samples"))).iterdir() if path.suffix in formats)
