"""Evaluate a graph or a retriever on a data set: ask, score, and keep all of it in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agentrag.app import Graph
from agentrag.core.calls import new_run_id
from agentrag.core.errors import DataSetError, StoreError, unknown
from agentrag.core.ports import Journal
from agentrag.core.settings import Settings, load_settings
from agentrag.evaluation.asking.ask import Outcome, ask_all
from agentrag.evaluation.asking.retrievers import RETRIEVERS
from agentrag.evaluation.data.dataset import DataSet, Query
from agentrag.evaluation.data.halves import sample
from agentrag.evaluation.data.recordings import RecordedOutputs
from agentrag.evaluation.evaluation import Evaluation, compare, load_evaluation
from agentrag.evaluation.folder.environment import data_hashes, environment
from agentrag.evaluation.folder.folder import RunFolder
from agentrag.evaluation.scoring.ranking import parse
from agentrag.evaluation.setup import Setup
from agentrag.evaluation.statistics.intervals import SEED
from agentrag.ingest.pipeline import Progress
from agentrag.journal.memory import MemoryJournal
from agentrag.journal.sqlite import SqliteJournal
from agentrag.systems import System, open_system

__all__ = ["Evaluation", "Watch", "compare", "evaluate", "load_evaluation", "resume"]


def _ignore(_: Any) -> None:
    """Watch nothing."""


def _ignore_both(_: Path, __: int) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Watch:
    """Told how an evaluation goes: the building of the collection, folder and number of questions to ask, each outcome."""

    ingesting: Callable[[Progress], None] = _ignore
    asking: Callable[[Path, int], None] = _ignore_both
    answered: Callable[[Outcome], None] = _ignore


QUIETLY = Watch()


async def evaluate(
    system: str | Graph,
    data: DataSet | Path | str,
    *,
    settings: Settings | None = None,
    folder: Path | str | None = None,
    watch: Watch = QUIETLY,
    **options: Any,
) -> Evaluation:
    """Ask the questions of a data set, and score what comes of it.

    The corpus of the data set becomes a collection once and fills every collection slot of the graph. A question that
    fails counts as 0 and is listed. An evaluation that was stopped can be gone on with: see `resume`.

    Args:
        system: A graph, its name or path, or "bm25", "bm25-plain", "dense", "rrf", "convex".
        data: A data set or its folder.
        settings: Read from agentrag.yaml and the environment where None.
        folder: A new folder for the run; one in `<home>/evals` where None.
        watch: Told how it goes.
        options: The other fields of `agentrag.evaluation.setup.Setup`: half, limit, inputs, models, concurrency ...

    Raises:
        DataSetError: The data set is wrong, or the graph cannot be asked its questions.
        RunError: Every question failed.
        SpecError, SettingsError, CatalogueError, StoreError: The graph or its back ends cannot be had.
    """
    settings, dataset = settings or load_settings(), data if isinstance(data, DataSet) else DataSet(Path(data))
    name = _named(system)
    if dataset.split is not None:
        options.setdefault("split", dataset.split)
    setup = Setup(name, str(dataset.folder.resolve()), **options)
    path = Path(folder or settings.own(settings.home) / "evals" / new_run_id(f"{dataset.name}-{Path(name).stem}"))
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreError(f"{path} is there already; an evaluation makes its own folder.")
    return await _evaluated(setup, system, settings, RunFolder(path), watch)


def _named(system: str | Graph) -> str:
    """What the system is called in a setup; files by their absolute paths, so that it is found from anywhere."""
    if isinstance(system, Graph):
        return system.ref or system.spec.name
    return system if system in RETRIEVERS or not Path(system).is_file() else str(Path(system).resolve())


async def resume(
    folder: Path | str, *, graph: Graph | None = None, settings: Settings | None = None, watch: Watch = QUIETLY
) -> Evaluation:
    """Go on with an evaluation that was stopped: what was answered stays, finished calls are not paid again.

    Questions that failed are asked again too.

    Args:
        folder: Its run folder.
        graph: The graph, where it was made in Python.
        settings: See `evaluate`.
        watch: See `evaluate`.

    Raises:
        DataSetError: It is no run folder, or data set, graph, models or collection are not what they were.
        StoreError: A process works on it, or it cannot be written.
        RunError, SpecError, SettingsError, CatalogueError: As from `evaluate`.
    """
    kept = RunFolder(Path(folder))
    setup = Setup.of(kept.about().get("setup"))
    return await _evaluated(setup, graph or setup.system, settings or load_settings(), kept, watch)


async def _evaluated(setup: Setup, given: str | Graph, settings: Settings, folder: RunFolder, watch: Watch) -> Evaluation:
    for name in setup.metrics:
        parse(name)
    data = DataSet(Path(setup.data), setup.split)
    queries = _sampled(setup, data)
    async with open_system(setup, given, data, queries, settings, watch.ingesting) as system:
        about = {**_about(setup, data), **system.about}
        with _held(folder, about, queries, system.sources), closing(_journal(setup, system, folder)) as journal:
            done = {name: outcome for name, outcome in folder.outcomes(queries).items() if outcome.answered}
            left = [query for query in queries if query.id not in done]
            if left and not setup.cassette:  # what a cassette answers needs nothing that would have to be started
                await system.warm()
            watch.asking(folder.path, len(left))

            def answered(outcome: Outcome) -> None:
                folder.add(outcome)
                watch.answered(outcome)

            kept = folder.about()
            ask = system.asking(journal, kept["run"])
            asked = await ask_all(ask, left, setup.concurrency, answered, hopeful=bool(done))
            done |= {outcome.query.id: outcome for outcome in asked}
            found = Evaluation(folder.run, kept, tuple(done[query.id] for query in queries), folder.path)
            folder.finish(found.outcomes, found.scores, found.as_json())
    return load_evaluation(folder.path)


def _sampled(setup: Setup, data: DataSet) -> list[Query]:
    there = [query for query in _known_fields(data.queries(), setup.where) if _meant(query, setup.where)]
    if setup.recorded:
        known = RecordedOutputs(data.folder).table(setup.recorded).keys()
        there = [query for query in there if query.id in known]
    queries = sample(there, setup.half, setup.limit)
    if not queries:
        which = "".join(f", where {name} is '{value}'" for name, value in setup.where.items())
        raise DataSetError(f"{data.folder} has no questions in the half '{setup.half}'{which}.")
    if not setup.unanswerable:
        return queries
    others = sample(data.unanswerable(), setup.half, setup.unanswerable)
    if not others:
        raise DataSetError(f"{data.folder} has no unanswerable questions in the half '{setup.half}'.")
    if twice := sorted({query.id for query in queries} & {query.id for query in others}):
        raise DataSetError(f"{data.folder}: id '{twice[0]}' is that of a query and of an unanswerable question.")
    return [*queries, *others]


def _known_fields(queries: Iterable[Query], where: Mapping[str, str]) -> list[Query]:
    """The queries; a DataSetError where none of them has a field that is asked for."""
    there = list(queries)
    known = {name for query in there for name in query.gold.fields}
    if strangers := [name for name in where if name not in known]:
        raise DataSetError(unknown("field", strangers[0], known))
    return there


def _meant(query: Query, where: Mapping[str, str]) -> bool:
    fields = query.gold.fields
    return all(name in fields and _as_text(fields[name]) == value for name, value in where.items())


def _as_text(value: Any) -> str:
    """A field as it is written on a command line: texts as they are, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _journal(setup: Setup, system: System, folder: RunFolder) -> Journal:
    """Where calls are recorded: the cassette, or for what costs something the run's own journal."""
    if setup.cassette:
        return SqliteJournal(Path(setup.cassette), reuse=True)
    return SqliteJournal(folder.journal) if system.pays else MemoryJournal()


def _about(setup: Setup, data: DataSet) -> dict[str, Any]:
    return {
        "run": new_run_id(),
        "setup": setup.as_json(),
        "command": setup.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"name": data.name, "sha256": data_hashes(data)},
        "seed": SEED,
        "environment": environment(),
    }


@contextmanager
def _held(folder: RunFolder, about: Mapping[str, Any], queries: Sequence[Query], sources: Mapping[str, str]) -> Iterator[None]:
    """Hold the run folder: made where it is new, else seen to be of the same evaluation."""
    new = not folder.path.exists() or not any(folder.path.iterdir())
    if new:
        folder.begin(about, queries, sources)
    lock = FileLock(folder.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"Another process works on the evaluation in {folder.path}.") from error
    with lock:
        lock.release()  # entering took it a second time
        if not new:
            _refuse_changed(folder.about(), about)
            folder.mend()
        yield


def _refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for part, what in (("data", "data set"), ("system", "system"), ("models", "models"), ("collection", "collection")):
        if before.get(part) != now.get(part):
            raise DataSetError(f"What was evaluated here is not what it was when this began ({what}). Begin a new evaluation.")
