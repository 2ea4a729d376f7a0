"""`agentrag split`: folds that test a trained part on queries like those of its training, and on queries unlike them."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import note, run_async, say, say_json
from agentrag.cli.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrag.core.ports import Vectors
    from agentrag.evaluation.data.splits import Splits


class Protocol(StrEnum):
    """What a fold tests."""

    INTERPOLATION = "interpolation"
    EXTRAPOLATION = "extrapolation"
    RANDOM = "random"


def split(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the data set; its queries are enough.")],
    protocol: Annotated[
        Protocol,
        typer.Option(
            "--protocol",
            help="Test on the buckets that were trained on, on the one left out, or on one left out of random buckets.",
        ),
    ],
    buckets: Annotated[int, typer.Option("--buckets", min=2, help="Buckets of queries, and so folds.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other buckets.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the folds there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Split a data set's queries into folds by what they ask about.

    The embedder's vectors cluster the queries; each fold leaves one bucket out, trains on the tune half of the others
    and tests on a report half. The last column is the mean cosine of the tested queries to their nearest train query.
    """

    async def main() -> None:
        from agentrag.core.settings import load_settings  # lazy: --help needs none of it
        from agentrag.evaluation.data import splits
        from agentrag.evaluation.data.dataset import DataSet
        from agentrag.retrieval.embed import open_embedder

        dataset, embedder = DataSet(data), open_embedder(load_settings())
        # by id: a batch then holds the same texts whatever the order of the file
        texts = {query.id: query.question.text for query in sorted(dataset.queries(), key=lambda query: query.id)}
        vectors = dict(zip(texts, await embedder.embed(list(texts.values())), strict=True))
        made = splits.folds(vectors, protocol.value, buckets, seed)
        whole = splits.Splits(protocol.value, dataset.name, buckets, seed, embedder.name, made)
        if output is not None:
            splits.write_splits(output, whole)
            note(f"folds: {output}")
        if as_json:
            say_json(asdict(whole))
        else:
            _print(whole, vectors)

    run_async(main)


def _print(splits: Splits, vectors: Mapping[str, Vectors]) -> None:
    """A line per fold, then how near training comes to both kinds of tested queries."""
    from agentrag.evaluation.data.splits import nearest, protocol_scores

    inside = splits if splits.protocol == "interpolation" else splits.opposite()
    outside = splits.opposite() if splits.protocol == "interpolation" else splits
    cosines = protocol_scores(partial(nearest, vectors), inside, outside)
    shown = cosines.interpolation if splits.protocol == "interpolation" else cosines.extrapolation
    say(f"{'fold':6}{'train':>8}{'test':>8}{'nearest':>10}")
    for number, (fold, cosine) in enumerate(zip(splits.folds, shown.scores, strict=True), start=1):
        say(f"{number:<6}{len(fold.train):8,}{len(fold.test):8,}{cosine:10.3f}")
    say()
    say("mean cosine of the report half to its nearest train query:")
    say(f"  {cosines.interpolation.mean:.3f} in buckets that are trained on")
    say(f"  {cosines.extrapolation.mean:.3f} in the bucket left out")
