"""Passages to measure with: those of the evaluation data where they are, made-up ones elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from agentrag.evaluation.data.dataset import DataSet

SETS = ("squad", "hotpotqa", "musique", "2wikimultihopqa", "nq", "retrievalqa")


def passages(count: int) -> tuple[list[str], list[str], str]:
    """Texts of `count` passages, 200 queries, and where they come from."""
    root = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
    texts: list[str] = []
    queries: list[str] = []
    for name in SETS:
        if (root / name).is_dir() and len(texts) < count:
            data = DataSet(root / name)
            texts += [f"{document['title']}. {document['text']}" for document in data.documents()]
            queries += [query.question.text for query in data.queries()]
    if len(texts) < count:
        return *_made_up(count), "made-up words"
    return texts[:count], Random(0).sample(queries, 200), "passages of public data sets"


def _made_up(count: int) -> tuple[list[str], list[str]]:
    """Texts of 30 to 130 words whose frequencies fall as in a language."""
    random = Random(0)
    words = [f"word{number}" for number in range(50_000)]
    weights = [1.0 / (rank + 3) for rank in range(len(words))]
    texts = [" ".join(random.choices(words, weights, k=random.randint(30, 130))) for _ in range(count)]
    return texts, [" ".join(random.choices(words, weights, k=9)) for _ in range(200)]
