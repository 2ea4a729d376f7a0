"""The page of the reference rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.statistics.paired import LEVEL, Paired, holm
from benchmarks.reference_known import DENSE, PLAIN, RRF, SCIFACT_TEST, STEMMED, TOLERANCE, known

if TYPE_CHECKING:
    from benchmarks.reference import Rows

CONVEX = "convex"
MAIN = "ndcg@10"
_NAMES: Mapping[str, str] = {PLAIN: "BM25, plain", STEMMED: "BM25, stemmed", DENSE: "dense", RRF: "RRF", CONVEX: "convex"}

HEAD = """# Reference rows

Written by `python -m benchmarks.reference`; the protocol is in [plan.md](plan.md). Plain rankings without a language model
on all development sets: what every method has to beat, and what shows that the instrument measures what it says. Whole
documents, rankings of 100, embedder `{embedder}`; {versions}. The vector index is
approximate: where a collection is built anew, the third digit of dense and fused rows may differ by one.

One row is one command: `agentrag eval bm25-plain|bm25|dense|rrf --whole --data DIR --metric ndcg@10`, with `-i depth=100` for
`rrf` and `convex`, and for the last table `--half report`, and `-i weight=W` after `convex`.

## All development queries

nDCG@10, and in brackets its distance to the known value where there is one; **bold** where it is farther off than .005
(BM25) or .01 (dense and RRF, whose vectors are int8 here and were fp32 there).

| set | queries | BM25, plain | BM25, stemmed | dense | RRF |
| --- | ---: | ---: | ---: | ---: | ---: |
"""

SHORT_LISTS = """
The RRF of nfcorpus is above its known value because of what is fused where BM25 finds fewer than 100 documents, as for 79 of
the 191 queries: the reference fills the list with documents of score 0, ours ends. With the list filled in the order of the
corpus file our RRF is .342, from its end .350.
"""

DEPTHS = """
## Recall

Of all development queries: recall@5 / recall@100, and the share of queries with all golden documents among the first five.

| set | BM25, stemmed | dense | RRF | all of them in five (BM25 / dense / RRF) |
| --- | ---: | ---: | ---: | ---: |
"""

TUNED = """
## Report half, with the tuned convex combination

nDCG@10 with 95 % bootstrap intervals on the queries of the report half; the weight of BM25 was chosen on the tune half.
The last columns compare convex with RRF query by query: difference, p of the permutation test after Holm over {sets} sets.

| set | queries | BM25, stemmed | dense | RRF | convex | weight | convex - RRF | p | |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
"""


def page(rows: Sequence[Rows]) -> str:
    """The document; equal rows give equal bytes."""
    about = rows[0].every[RRF].about
    packages = about["environment"]["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("agentrag", "bm25s", "onnxruntime", "ir-measures"))
    embedder = about["models"]["names"]["embedder"]
    head = HEAD.format(embedder=embedder, versions=versions) + "".join(map(_all_line, rows))
    tests = holm([_test(row).p for row in rows])
    tuned = TUNED.format(sets=len(rows)) + "".join(_tuned_line(row, p) for row, p in zip(rows, tests, strict=True))
    return head + _agreement(rows) + DEPTHS + "".join(map(_depth_line, rows)) + tuned + _gains(rows, tests)


def distances(rows: Sequence[Rows]) -> Iterator[tuple[str, str, float]]:
    """(set, ranking, distance to the known value) wherever one is known."""
    for row in rows:
        for ranking, value in known(row.name).items():
            yield row.name, ranking, _mean(row.every[ranking], MAIN) - value


def _agreement(rows: Sequence[Rows]) -> str:
    far = [(name, ranking, off) for name, ranking, off in distances(rows) if abs(off) > TOLERANCE[ranking]]
    count = sum(1 for _ in distances(rows))
    lines = [f"\n{count - len(far)} of {count} known values are met.\n"]
    for test in (row.test for row in rows if row.test):
        values = {ranking: (_mean(run, MAIN), SCIFACT_TEST[ranking]) for ranking, run in test.items()}
        told = ", ".join(f"{_NAMES[name]} {_short(value)} (known {_short(there)})" for name, (value, there) in values.items())
        lines.append(f"SciFact, only the {test[RRF].n} claims of BEIR's test set: {told}.\n")
    return "".join([*lines, *([SHORT_LISTS] if any(row.name == "nfcorpus" for row in rows) else [])])


def _all_line(row: Rows) -> str:
    values = known(row.name)
    cells = [_beside(_mean(run, MAIN), values.get(ranking), TOLERANCE[ranking]) for ranking, run in row.every.items()]
    return _line(row.name, f"{row.every[RRF].n:,}", *cells)


def _depth_line(row: Rows) -> str:
    runs = [row.every[ranking] for ranking in (STEMMED, DENSE, RRF)]
    recalls = [f"{_short(_mean(run, 'recall@5'))} / {_short(_mean(run, 'recall@100'))}" for run in runs]
    return _line(row.name, *recalls, " / ".join(_short(_mean(run, "sufficiency@5")) for run in runs))


def _tuned_line(row: Rows, p: float) -> str:
    cells = [_interval(row.report[ranking]) for ranking in (STEMMED, DENSE, RRF, CONVEX)]
    test = _test(row)
    gain = f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}]"
    return _line(row.name, f"{row.report[RRF].n:,}", *cells, f"{row.weight:.1f}", gain, _p(p), _verdict(test.difference, p))


def _gains(rows: Sequence[Rows], tests: Sequence[float]) -> str:
    said = [_verdict(_test(row).difference, p) for row, p in zip(rows, tests, strict=True)]
    best = sum(
        _mean(row.report[CONVEX], MAIN) >= max(_mean(row.report[name], MAIN) for name in (STEMMED, DENSE, RRF)) for row in rows
    )
    told = ", ".join(f"{verdict} on {said.count(verdict)}" for verdict in ("better", "worse", "no difference shown"))
    means = f"Its mean is at least that of the best of the other three on {best} of {len(rows)} sets"
    return f"\nConvex against RRF: {told}. {means}.\n"


def _test(row: Rows) -> Paired:
    return row.against.pairs[0].rows[0].paired


def _verdict(difference: float, p: float) -> str:
    return "no difference shown" if p >= LEVEL else "better" if difference > 0 else "worse"


def _mean(run: Evaluation, metric: str) -> float:
    return run.metrics[metric].mean


def _interval(run: Evaluation) -> str:
    value = run.metrics[MAIN]
    return f"{_short(value.mean)} [{_short(value.low)}, {_short(value.high)}]"


def _beside(value: float, expected: float | None, tolerance: float) -> str:
    if expected is None:
        return _short(value)
    text = f"{_short(value)} ({value - expected:+.3f})"
    return f"**{text}**" if abs(value - expected) > tolerance else text


def _short(value: float) -> str:
    """Three decimals without the zero before them: .674, 1.000."""
    return f"{value:.3f}".removeprefix("0")


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else _short(value)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
