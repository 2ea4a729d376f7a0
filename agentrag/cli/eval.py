"""`agentrag eval`: how well a graph or a plain retriever does on a data set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import err, fail, note, pairs, run_async, say, say_json
from agentrag.cli.ingest import progress_bar
from agentrag.cli.options import EveryModelOption, InputOption, JsonOption, ModelsOption, bindings

if TYPE_CHECKING:
    from agentrag.core.ports import Journal
    from agentrag.core.settings import Settings
    from agentrag.evaluation.asking.ask import Ask, Outcome
    from agentrag.evaluation.data.dataset import DataSet
    from agentrag.evaluation.scoring.scores import Summary


class Part(StrEnum):
    """Which questions of a data set."""

    TUNE = "tune"
    REPORT = "report"
    ALL = "all"


@dataclass(frozen=True)
class System:
    """What is evaluated.

    Attributes:
        name: Of a retriever, or of a graph or its file.
        inputs: Fixed inputs of the graph, as they were given.
        models: Bindings by slot.
        cassette: Where calls are recorded and found again.
    """

    name: str
    inputs: dict[str, str]
    models: dict[str, str]
    cassette: Path | None


def evaluate(
    system: Annotated[
        str, typer.Argument(metavar="GRAPH|RETRIEVER", help="A graph (name or path), or bm25, dense, rrf or convex.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the data set.")],
    half: Annotated[Part, typer.Option("--half", help="Choose settings on `tune`, quote numbers on `report`.")] = Part.ALL,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N by hex digest of the id.")] = None,
    inputs: InputOption = None,
    every: EveryModelOption = None,
    models: ModelsOption = None,
    cassette: Annotated[
        Path | None, typer.Option("--cassette", metavar="FILE", help="Record every call once; later runs replay it.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Questions in flight.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Ask a data set's questions and score answers and rankings, each metric with a 95 % bootstrap interval.

    The corpus of the data set becomes a collection once and fills every collection slot of the graph. Answers, ranking
    and metrics are kept in a run folder. A question that fails scores 0 and is listed.
    """
    asked = System(system, pairs(inputs or [], "--input"), bindings(every, models), cassette)

    async def main() -> None:
        from agentrag.core.calls import new_run_id  # lazy: --help needs none of it
        from agentrag.core.settings import load_settings
        from agentrag.evaluation.asking.ask import ask_all
        from agentrag.evaluation.data.dataset import DataSet
        from agentrag.evaluation.data.halves import sample
        from agentrag.evaluation.record import as_json as to_json
        from agentrag.evaluation.record import write_run
        from agentrag.evaluation.scoring.scores import summarise

        settings, dataset = load_settings(), DataSet(data)
        queries = sample(dataset.queries(), half.value, limit)
        if not queries:
            raise fail(f"{data} has no questions in the half '{half.value}'")
        run = new_run_id(f"{dataset.name}-{Path(system).stem}")
        async with _opened(asked, dataset, settings, run) as ask:
            with _progress(len(queries)) as watch:
                outcomes = await ask_all(ask, queries, concurrency, watch)
        summary = summarise(outcomes)
        folder = settings.own(settings.home) / "evals" / run
        options = {"system": system, "data": dataset.name, "half": half.value, "limit": limit}
        write_run(folder, outcomes, summary, {**options, "inputs": asked.inputs, "models": asked.models})
        if as_json:
            say_json(to_json(summary, run))
        else:
            _print(summary)
        note(f"run folder: {folder}")

    run_async(main)


@asynccontextmanager
async def _opened(system: System, data: DataSet, settings: Settings, run: str) -> AsyncIterator[Ask]:
    """What asks the system, over the collection of the data set."""
    from agentrag.evaluation.asking.retrievers import RETRIEVERS
    from agentrag.journal.sqlite import SqliteJournal

    plain = system.name in RETRIEVERS
    if plain and (system.inputs or system.models):
        raise fail(f"'{system.name}' is a plain retriever: it takes no -i, -m or --models", 2)
    async with AsyncExitStack() as stack:
        journal = None
        if system.cassette:
            journal = SqliteJournal(system.cassette, reuse=True)
            stack.callback(journal.close)
        opened = _retriever(system, data, settings, journal, run) if plain else _graph(system, data, settings, journal)
        yield await stack.enter_async_context(opened)


@asynccontextmanager
async def _retriever(
    system: System, data: DataSet, settings: Settings, journal: Journal | None, run: str
) -> AsyncIterator[Ask]:
    from agentrag.core.deps import Deps
    from agentrag.core.prompts import Prompts
    from agentrag.evaluation.asking.retrievers import retriever
    from agentrag.journal.memory import MemoryJournal
    from agentrag.retrieval.collections import Collections
    from agentrag.retrieval.embed import open_embedder

    name = await _collection(data, settings)
    with closing(Collections(settings, open_embedder(settings)).open(name)) as searcher:
        journal = journal or MemoryJournal()
        yield retriever(system.name, Deps({}, {"docs": searcher}, Prompts(), journal, run=run))


@asynccontextmanager
async def _graph(system: System, data: DataSet, settings: Settings, journal: Journal | None) -> AsyncIterator[Ask]:
    from agentrag.app import Graph
    from agentrag.back_ends import open_deps
    from agentrag.cli.inputs import typed
    from agentrag.evaluation.asking.graphs import answering, check_inputs

    graph = Graph.load(system.name)
    inputs = typed(graph.spec, system.inputs)
    check_inputs(graph.spec, inputs)
    slots = graph.spec.collection_slots
    filled = dict.fromkeys(slots, await _collection(data, settings)) if slots else {}
    async with open_deps(graph, settings, models=system.models, collections=filled, journal=journal) as deps:
        yield answering(partial(graph.run, deps), graph.spec.inputs, inputs)


async def _collection(data: DataSet, settings: Settings) -> str:
    from agentrag.evaluation.data.corpus import corpus_collection
    from agentrag.ingest.pipeline import Options
    from agentrag.retrieval.embed import open_embedder

    with progress_bar() as watch:
        return await corpus_collection(data, settings, open_embedder(settings), Options.of(settings, prune=True), watch)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar on standard error, where a person watches, with the failures so far."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as bar:
        task = bar.add_task("", total=total)
        failures = 0

        def watch(outcome: Outcome) -> None:
            nonlocal failures
            failures += bool(outcome.error)
            bar.update(task, advance=1, description=f"{failures} failed" if failures else "")

        yield watch


def _print(summary: Summary) -> None:
    """The metrics as a table, what was paid as another, failures as lines on standard error."""
    say(f"{'metric':16}{'mean':>8}   95 % interval      over {summary.n} questions")
    for name, value in summary.metrics.items():
        say(f"{name:16}{value.mean:8.3f}   {value.low:.3f} to {value.high:.3f}")
    say()
    say(f"{'node':16}{'calls':>8}{'reused':>8}{'prompt tokens':>15}{'generated':>11}{'seconds':>10}{'USD':>9}")
    for node, usage in summary.usage.items():
        tokens = f"{usage.prompt_tokens:15,}{usage.completion_tokens:11,}"
        say(f"{node:16}{usage.calls:8,}{usage.reused:8,}{tokens}{usage.seconds:10.1f}{usage.usd:9.4f}")
    for name, reason in summary.failed.items():
        note(f"failed: {name}: {reason}")
