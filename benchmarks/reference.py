"""The reference rows: plain rankings on every development set, beside known values; writes docs/results/reference.md.

Protocol: docs/results/plan.md. Every row is also one `agentrag eval` command, which the page names. The first run embeds
all corpora, some 76,000 documents: half an hour on two cores; later ones take the vectors from the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentrag.cli.console import errors, note
from agentrag.core.settings import Settings, load_settings
from agentrag.evaluation.comparing.results import Comparison
from agentrag.evaluation.data.halves import half
from agentrag.evaluation.evaluation import Evaluation, compare, load_evaluation
from agentrag.evaluation.folder.folder import METRICS as METRICS_FILE
from agentrag.evaluations import evaluate
from benchmarks.reference_known import BEIR_TEST, DENSE, PLAIN, RRF, SCIFACT_TEST, SETS, STEMMED
from benchmarks.reference_table import page

RANKINGS = (PLAIN, STEMMED, DENSE, RRF)
CONVEX = "convex"
DEPTH = 100
"""Candidates of each side that are fused, as in the known values."""
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
METRICS = ("ndcg@10", "recall@5", "recall@10", "recall@100", "sufficiency@5")
PAGE = Path("docs/results/reference.md")


@dataclass(frozen=True)
class Rows:
    """What was measured on one data set.

    Attributes:
        every: Evaluations of all development queries by ranking.
        report: The same rankings and the tuned convex combination on the report half.
        tuned: nDCG@10 on the tune half by weight of BM25.
        weight: The one that was chosen there.
        against: The convex combination and RRF against each other on the report half, RRF being the baseline.
        test: SciFact only: the same rankings on the claims that are BEIR's test queries.
    """

    name: str
    every: Mapping[str, Evaluation]
    report: Mapping[str, Evaluation]
    tuned: Mapping[float, float]
    weight: float
    against: Comparison
    test: Mapping[str, Evaluation]


async def measure(folder: Path, settings: Settings, out: Path) -> Rows:
    """All rows of one data set; run folders are made below `out`, and those that are there and finished are read."""

    async def run(system: str, half_: str, weight: float | None = None, **where: str) -> Evaluation:
        inputs = {"depth": str(DEPTH)} if system in (RRF, CONVEX) else {}
        inputs |= {} if weight is None else {"weight": str(weight)}
        label = "-".join([folder.name, system, half_, *inputs.values(), *where.values()])
        if (out / label / METRICS_FILE).is_file():
            return load_evaluation(out / label)
        options: dict[str, Any] = {
            "half": half_,
            "inputs": inputs,
            "whole": system != PLAIN,
            "metrics": METRICS,
            "concurrency": 4,
        }
        options |= {"where": where} if where else {}
        return await evaluate(system, folder, settings=settings, folder=out / label, **options)

    every = {ranking: await run(ranking, "all") for ranking in RANKINGS}
    tuned = {weight: (await run(CONVEX, "tune", weight)).metrics["ndcg@10"].mean for weight in WEIGHTS}
    weight = chosen(tuned)
    report = {ranking: _half(found, "report") for ranking, found in every.items()}
    report[CONVEX] = await run(CONVEX, "report", weight)
    against = compare(report[RRF], report[CONVEX], metrics=("ndcg@10",))
    test = {ranking: await run(ranking, "all", part=BEIR_TEST) for ranking in SCIFACT_TEST if folder.name == "scifact"}
    return Rows(folder.name, every, report, tuned, weight, against, test)


def chosen(tuned: Mapping[float, float]) -> float:
    """The weight with the best nDCG@10, of equal ones that nearest to the middle."""
    return max(tuned, key=lambda weight: (round(tuned[weight], 6), -abs(weight - 0.5)))


def _half(found: Evaluation, part: str) -> Evaluation:
    """An evaluation of all queries without those of the other half: retrieval of a query does not depend on others."""
    kept = tuple(outcome for outcome in found.outcomes if half(outcome.query.id) == part)
    return Evaluation(f"{found.run} ({part})", found.about, kept)


async def measure_all(names: Sequence[str], root: Path, settings: Settings, out: Path) -> list[Rows]:
    """The rows of several data sets."""
    rows = []
    for name in names:
        rows.append(await measure(root / name, settings, out))
        found = rows[-1]
        note(f"{name}: " + ", ".join(f"{ranking} {run.metrics['ndcg@10'].mean:.3f}" for ranking, run in found.every.items()))
    return rows


def main() -> None:
    """Measure, and write the page where all sets were measured; else print it."""
    root = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference", description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS), help="names of data sets, with commas between")
    parser.add_argument("--data", type=Path, default=root, help="where they are (AGENTRAG_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders; finished ones are not run again")
    options = parser.parse_args()
    names = tuple(options.sets.split(","))
    with errors():
        rows = asyncio.run(measure_all(names, options.data, load_settings(), options.out))
    text = page(rows)
    sys.stdout.write(text)
    if names == SETS:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
