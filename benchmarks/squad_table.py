"""The table of docs/results/squad.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version

from benchmarks.squad_scores import Asked, Row, losses, rows

PACKAGES = ("agentrag", "xllamacpp", "onnxruntime", "bm25s", "chromadb")

HEAD = """# SQuAD through the shipped `ask` graph

Written by `{command}`; the protocol, and what was frozen before the run, are in [plan.md](plan.md).
{answerable} answerable and {unanswerable} unanswerable questions of the {half} half of `squad`, each the first of its file by
sha256 of the id; development data, {passages} passages of the SQuAD 2.0 dev set. Intervals are bootstrapped over questions.

{facts}

| measure | value | 95 % interval | over |
| --- | ---: | :---: | --- |
"""

NOTES = """
EM and F1 are those of the SQuAD script. "Contained" and "holds" mean: as whole words, after SQuAD's normalisation, without
citation marks. A refused or failed question scores 0. Seconds are the wall time of model, search and embedding calls, as they
were when the calls were made, one question at a time; prompt tokens include those that the server took from its prompt cache.

Where the golden answers are lost, default style:

| the golden answer is | questions |
| --- | ---: |
"""


def table(asked: Asked, command: str, half: str, passages: int, names: Mapping[str, str]) -> str:
    """The document; equal replies give equal bytes.

    Args:
        asked: The replies.
        command: What made it.
        half: Where the questions are from.
        passages: Size of the corpus.
        names: Model and embedder.
    """
    head = HEAD.format(
        command=command,
        answerable=len(asked.answerable),
        unanswerable=len(asked.unanswerable),
        half=half,
        passages=f"{passages:,}",
        facts="; ".join(_facts(names)),
    )
    stages = "".join(f"| {name} | {count} of {len(asked.answerable)} |\n" for name, count in losses(asked))
    failed = "".join(f"\nFailed: `{name}`: {reason}\n" for name, reason in sorted(asked.failed.items()))
    return head + "".join(map(_line, rows(asked))) + NOTES + stages + failed


def _facts(names: Mapping[str, str]) -> Iterator[str]:
    for what, name in names.items():
        yield f"{what}: `{name}`"
    yield "versions: " + ", ".join(f"{package} {version(package)}" for package in PACKAGES)


def _line(row: Row) -> str:
    digits = 2 if row.value.high <= 1 else 1
    value = row.value
    return f"| {row.measure} | {value.mean:.{digits}f} | {value.low:.{digits}f} to {value.high:.{digits}f} | {row.over} |\n"
