"""Values of plain code on the development queries, measured once elsewhere: what our rankings are checked against.

nDCG@10 over all development queries. Stemmed BM25: bm25s, Lucene's formula, k1 0.9, b 0.4, English stop words, Snowball
stems. Dense: all-MiniLM-L6-v2 in fp32, 256 tokens, cosine; ours runs in int8. RRF: k = 60 over the first 100 of both.
Tools: name split into words, description, names of parameters; where the reference fused other texts, its RRF is left out.
Plain BM25: the same without stems; where tools have parameters, the reference left them out of the text, and is left out here.
"""

from __future__ import annotations

from collections.abc import Mapping

PLAIN, STEMMED, DENSE, RRF = "bm25-plain", "bm25", "dense", "rrf"
TOLERANCE: Mapping[str, float] = {PLAIN: 0.005, STEMMED: 0.005, DENSE: 0.01, RRF: 0.01}
"""By ranking: what the bar allows, .01 where int8 vectors take part."""

_STEMMED_DENSE_RRF: Mapping[str, tuple[float, float, float | None]] = {
    "toole-single": (0.592, 0.721, None),
    "toole-multi": (0.436, 0.526, 0.634),
    "seal-tools": (0.809, 0.619, None),
    "toolbench": (0.607, 0.606, 0.656),
    "bfcl": (0.642, 0.675, None),
    "livemcpbench": (0.378, 0.413, None),
    "hotpotqa": (0.767, 0.757, 0.802),
    "2wikimultihopqa": (0.765, 0.699, 0.768),
    "musique": (0.527, 0.576, 0.580),
    "strategyqa": (0.768, 0.807, 0.826),
    "nq": (0.866, 0.951, 0.928),
    "squad": (0.873, 0.775, 0.869),
    "mtrag-un": (0.748, 0.752, 0.803),
    "nfcorpus": (0.346, 0.298, 0.344),
    "cranfield": (0.339, 0.372, 0.403),
}
_FLOOR: Mapping[str, float | None] = {
    "toole-single": 0.543,
    "toole-multi": 0.377,
    "seal-tools": None,
    "toolbench": None,
    "bfcl": None,
    "livemcpbench": None,
    "hotpotqa": 0.746,
    "2wikimultihopqa": 0.770,
    "musique": 0.534,
    "strategyqa": 0.748,
    "nq": 0.846,
    "squad": 0.868,
    "retrievalqa": 0.725,
    "pubmedqa": 0.968,
    "fm2": 0.396,
    "mtrag-un": 0.717,
    "lihua-world": 0.753,
    "scifact": 0.666,
    "nfcorpus": 0.323,
    "cranfield": 0.313,
    "cisi": 0.316,
    "med": 0.662,
    "cacm": 0.517,
    "vaswani": 0.387,
}
SETS = tuple(_FLOOR)
"""All development sets, tools first."""
BEIR_TEST = "beir-test"
"""The `part` of SciFact's claims that are BEIR's test queries."""
SCIFACT_TEST: Mapping[str, float] = {STEMMED: 0.674, DENSE: 0.672, RRF: 0.720}
"""Of these claims; the values above are of all queries of SciFact."""


def known(name: str) -> dict[str, float]:
    """What is known of a data set, by ranking."""
    values = zip((PLAIN, STEMMED, DENSE, RRF), (_FLOOR[name], *_STEMMED_DENSE_RRF.get(name, ())), strict=False)
    return {ranking: value for ranking, value in values if value is not None}
