"""A data set of three passages and three questions, one of them without an answer in it."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

CORPUS = [
    {"id": "p1", "title": "Rivers", "text": "The Danube flows into the Black Sea. It begins in the Black Forest."},
    {"id": "p2", "title": "Rivers", "text": "The Rhine flows into the North Sea near Rotterdam."},
    {"id": "p3", "title": "Mountains", "text": "Mont Blanc is the highest mountain of the Alps."},
]
QUERIES: list[dict[str, Any]] = [
    {"id": "q1", "text": "Where does the Danube begin?", "answers": ["the Black Forest", "Black Forest"], "type": "place"},
    {"id": "q2", "text": "Which sea does the Rhine reach?", "answers": ["North Sea"]},
    {"id": "q3", "text": "What is the highest mountain of the Alps?", "answers": ["Mont Blanc"]},
]
QRELS = [("q1", "p1", 1), ("q2", "p2", 1), ("q3", "p3", 1)]
UNANSWERABLE = [{"id": "u1", "text": "How long is the Nile?", "doc": "p1"}]

ECHO = """\
agentrag: 1
name: echo
inputs:
  question: str
  history: {type: history, default: []}
  style: {type: str, default: full, values: [full, short]}
outputs: [answer]
models: {writer: default}
nodes: {write: {use: generate, prompt: chat/condense, model: writer}}
flow: [write]
"""
"""A graph that asks its model and gives back what it says."""


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_rivers(folder: Path) -> Path:
    """Write the data set to a folder that it makes."""
    folder.mkdir()
    with gzip.open(folder / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in CORPUS)
    write_lines(folder / "queries.jsonl", QUERIES)
    write_lines(folder / "unanswerable.jsonl", UNANSWERABLE)
    judged = "".join(f"{query}\t{document}\t{score}\n" for query, document, score in QRELS)
    (folder / "qrels.tsv").write_text("query-id\tdoc-id\tscore\n" + judged, encoding="utf-8")
    return folder


@pytest.fixture
def rivers(tmp_path: Path) -> Path:
    return write_rivers(tmp_path / "rivers")
