"""Every metric of an evaluation: what it is, which way it is better, and where it stands in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agentrag.core.errors import DataSetError, unknown
from agentrag.evaluation.scoring.ranking import KNOWN, parse
from agentrag.evaluation.statistics.intervals import Share

Kind = Literal["answer", "ranking", "citation", "abstention", "cost"]

Scores = Mapping[str, Mapping[str, Share]]
"""Metric, then question id, then what the question adds to the metric."""

DEFAULT = ("ndcg@10", "recall@5", "recall@10", "mrr@10", "map", "success@5", "sufficiency@5")
"""Metrics of rankings that are taken where none are named."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number says.

    Attributes:
        name: As in tables and files; in `METRICS`, those of rankings stand with a k for their number.
        better: Which way it is better.
        about: One line.
    """

    name: str
    kind: Kind
    better: Literal["higher", "lower"]
    about: str


def _metrics(kind: Kind, better: Literal["higher", "lower"], abouts: Mapping[str, str]) -> tuple[Metric, ...]:
    return tuple(Metric(name, kind, better, about) for name, about in abouts.items())


METRICS: tuple[Metric, ...] = (
    *_metrics(
        "answer",
        "higher",
        {
            "em": "answers that equal a golden one in SQuAD's normal form",
            "f1": "token F1 with the golden answer that fits best",
            "contains": "answers that hold a golden one as whole words",
            "rouge_l": "F-measure of the longest common subsequence of tokens with the golden answer that fits best",
            "yes_no": "of the questions whose golden answer is a label such as yes or no, those whose answer says it first",
        },
    ),
    *_metrics(
        "ranking",
        "higher",
        {
            "ndcg@k": "nDCG of the first k documents, linear gains",
            "recall@k": "share of a question's relevant documents among the first k",
            "mrr@k": "1 / rank of the first relevant document, 0 where it is not among the first k",
            "map": "average precision of the whole ranking",
            "map@k": "average precision of the first k documents",
            "success@k": "questions with any relevant document among the first k",
            "sufficiency@k": "questions with all relevant documents among the first k",
        },
    ),
    *_metrics(
        "citation",
        "higher",
        {
            "citation_precision": "of the citations, those of a relevant document",
            "citation_recall": "of the relevant documents of answered questions, those that are cited",
            "citation_holds_answer": "of the citations, those whose quote holds a golden answer",
            "answer_support": "of the sentences of answers, those with a citation that bears them out",
        },
    ),
    *_metrics(
        "abstention",
        "higher",
        {
            "abstention_precision": "of the questions that were refused, those that the corpus cannot answer",
            "abstention_recall": "of the questions that the corpus cannot answer, those that were refused",
        },
    ),
    *_metrics(
        "abstention", "lower", {"wrongly_refused": "of the questions that the corpus can answer, those that were refused"}
    ),
    *_metrics(
        "cost",
        "lower",
        {
            "calls": "calls of models, searches and tools a question",
            "tokens": "prompt and generated tokens a question",
            "usd": "US dollars a question, 0 for local models",
            "seconds": "seconds of calls a question, those at the same time summed",
            "latency": "seconds from question to answer, where no call was reused",
            "first_token": "seconds from question to the first streamed piece of the answer, where no call was reused",
        },
    ),
)
"""All metrics, in the order of tables."""

_BY_NAME = {each.name: each for each in METRICS}


def metric(name: str) -> Metric:
    """The metric of this name; those of rankings with any number for k.

    Raises:
        DataSetError: There is none.

    >>> metric("recall@5").about
    "share of a question's relevant documents among the first 5"
    """
    kind, at, _ = name.partition("@")
    if at and f"{kind}@k" in KNOWN:
        k = str(parse(name).k)
        found = _BY_NAME[f"{kind}@k"]
        return replace(found, name=name, about=found.about.replace("first k", f"first {k}"))
    if name not in _BY_NAME:
        raise DataSetError(unknown("metric", name, _BY_NAME))
    return _BY_NAME[name]


def in_order(ranking: Sequence[str]) -> list[str]:
    """The names of all metrics in the order of tables, with these in place of all that a ranking could have.

    Raises:
        DataSetError: One of them is no metric of rankings.
    """
    for name in ranking:
        parse(name)
    before = [each.name for each in METRICS if each.kind == "answer"]
    after = [each.name for each in METRICS if each.kind not in {"answer", "ranking"}]
    return [*before, *dict.fromkeys(ranking), *after]
