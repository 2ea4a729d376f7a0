"""Ask SQuAD's questions through the shipped `ask` graph with the local default model, and write docs/results/squad.md.

Protocol: docs/results/plan.md. The first run asks the model, for up to an hour, and records it in a cassette; later ones
score the record. With the sample of the protocol the table is written; with any other it is printed only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.cli.console import errors, note
from agentrag.cli.ingest import progress_bar
from agentrag.core.calls import new_run_id
from agentrag.core.deps import Deps
from agentrag.core.settings import DEFAULT_MODEL, Settings, load_settings
from agentrag.evaluation.asking.ask import Answered, Outcome, ask_all
from agentrag.evaluation.asking.graphs import answered
from agentrag.evaluation.data.corpus import corpus_collection
from agentrag.evaluation.data.dataset import DataSet, Query, Question
from agentrag.evaluation.data.halves import sample
from agentrag.ingest.pipeline import Options
from agentrag.journal.sqlite import SqliteJournal
from agentrag.retrieval.embed import open_embedder
from agentrag.retrieval.sentences import sentences
from benchmarks.squad_scores import Asked, Reply
from benchmarks.squad_table import table

ANSWERABLE, UNANSWERABLE = 60, 20
TABLE = Path("docs/results/squad.md")
FULL, SHORT = "full", "short"


@dataclass
class Interview:
    """Asks questions and keeps the replies by style and question id."""

    graph: Graph
    deps: Deps

    async def reply(self, question: Question, style: str) -> Reply:
        """Ask one question in one style."""
        result = await self.graph.run(self.deps, question=question.text, style=style)
        reply = Reply(answered(result), evidence=result.state.get("evidence", ()))
        return replace(reply, nearest=await self._nearest(question, reply)) if reply.text else reply

    async def _nearest(self, question: Question, reply: Reply) -> str:
        """The sentence of the first passage that is nearest to question and answer: what to cite without a method."""
        texts = [span.text for passage in (reply.answered.passages or ())[:1] for span in sentences(passage.text)]
        if not texts:
            return ""
        deps = replace(self.deps, run=new_run_id()).at("rank-1", "rank-1")
        vectors = await deps.embed([f"{question.text} {reply.text}", *texts])
        return texts[int((vectors[1:] @ vectors[0]).argmax())]


async def interview(graph: Graph, deps: Deps, answerable: Sequence[Query], unanswerable: Sequence[Query]) -> Asked:
    """Ask every question in the default style, and the answerable ones with style=short right after.

    Right after, because then the model's server still holds the prompt that both styles begin with, as it would for a
    user who asks in one style only: the judging call of the same run fills it.
    """
    asker = Interview(graph, deps)
    full: dict[str, Reply] = {}
    short: dict[str, Reply] = {}

    async def both(question: Question) -> Answered:
        full[question.id] = await asker.reply(question, FULL)
        short[question.id] = await asker.reply(question, SHORT)
        return full[question.id].answered

    async def one(question: Question) -> Answered:
        full[question.id] = await asker.reply(question, FULL)
        return full[question.id].answered

    outcomes = await ask_all(both, answerable, watch=_Progress(len(answerable), "answerable"))
    outcomes += await ask_all(one, unanswerable, watch=_Progress(len(unanswerable), "unanswerable"))
    failed = {outcome.query.id: outcome.error for outcome in outcomes if outcome.answered is None}
    return Asked(answerable, unanswerable, full, short, failed)


class _Progress:
    """Says how far it is, and what failed."""

    def __init__(self, total: int, what: str) -> None:
        self._done, self._total, self._what = 0, total, what

    def __call__(self, outcome: Outcome) -> None:
        self._done += 1
        end = f"failed: {outcome.error}" if outcome.error else f"{outcome.seconds:.1f} s"
        note(f"{self._what} {self._done}/{self._total}: {end}")


async def measure(settings: Settings, options: argparse.Namespace) -> str:
    """Ask and score; returns the table."""
    data = DataSet(options.data)
    answerable = sample(data.queries(), options.half, options.limit)
    unanswerable = sample(data.unanswerable(), options.half, options.unanswerable)
    graph = Graph.load("ask")
    with progress_bar() as watch:
        cut = Options.of(settings, prune=True)
        collection = await corpus_collection(data, settings, open_embedder(settings), cut, watch)
    journal = SqliteJournal(options.cassette or settings.home / "evals" / "squad.cassette", reuse=True)
    models = {"*": options.model} if options.model else {}
    try:
        async with open_deps(graph, settings, models=models, collections={"docs": collection}, journal=journal) as deps:
            asked = await interview(graph, deps, answerable, unanswerable)
            names = {"model": deps.models["writer"].name, "embedder": settings.embedder}
    finally:
        journal.close()
    command = " ".join(["python -m benchmarks.squad", *(() if _is_protocol(options) else sys.argv[1:])])
    return table(asked, command, options.half, sum(1 for _ in data.documents()), names)


def _is_protocol(options: argparse.Namespace) -> bool:
    return (options.half, options.limit, options.unanswerable, options.model) == ("report", ANSWERABLE, UNANSWERABLE, None)


def _options() -> argparse.Namespace:
    root = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.squad", description=__doc__)
    parser.add_argument("--data", type=Path, default=root / "squad", help="folder of the data set (AGENTRAG_DATA/squad)")
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--limit", type=int, default=ANSWERABLE, help="answerable questions")
    parser.add_argument("--unanswerable", type=int, default=UNANSWERABLE, help="unanswerable questions")
    parser.add_argument("-m", "--model", metavar="BINDING", help=f"in place of {DEFAULT_MODEL}")
    parser.add_argument("--cassette", type=Path, help="file of recorded calls (evals/squad.cassette in the home)")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, and write it where the sample is that of the protocol."""
    options = _options()
    with errors():
        text = asyncio.run(measure(load_settings(), options))
    sys.stdout.write(text)
    if _is_protocol(options):
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
