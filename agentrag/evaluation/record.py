"""The folder that an evaluation leaves behind: answers, ranking, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentrag.core.errors import StoreError
from agentrag.core.types import Passage
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.scoring.scores import Scores, Summary, ranked, score


def as_json(summary: Summary, run: str) -> dict[str, Any]:
    """The summary as JSON data: metrics, n, usage, run, failed."""
    return {
        "metrics": {name: asdict(value) for name, value in summary.metrics.items()},
        "n": summary.n,
        "usage": {node: asdict(usage) for node, usage in summary.usage.items()},
        "run": run,
        "failed": dict(summary.failed),
    }


def write_run(folder: Path, outcomes: Sequence[Outcome], summary: Summary, settings: Mapping[str, Any]) -> None:
    """Write a run folder; its name is the run id.

    answers.jsonl has a line per question, metrics.json the summary beside `settings`; where something was retrieved,
    run.trec has the ranking in TREC's form: query, Q0, document, rank, score, run id.

    Raises:
        StoreError: The folder cannot be written.
    """
    scores = score(outcomes)
    try:
        folder.mkdir(parents=True)
        _write(folder / "answers.jsonl", (json.dumps(_line(outcome, scores), ensure_ascii=False) for outcome in outcomes))
        whole = as_json(summary, folder.name) | {"settings": settings}
        _write(folder / "metrics.json", [json.dumps(whole, ensure_ascii=False, indent=2)])
        if any(ranked(outcome) for outcome in outcomes):
            _write(folder / "run.trec", (line for outcome in outcomes for line in _trec(outcome, folder.name)))
    except OSError as error:
        raise StoreError(f"Run folder {folder} cannot be written: {error}") from error


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def _line(outcome: Outcome, scores: Scores) -> dict[str, Any]:
    query, answered = outcome.query, outcome.answered
    line: dict[str, Any] = {"id": query.id, "question": query.question.text, "seconds": round(outcome.seconds, 4)}
    line["scores"] = {name: values[query.id] for name, values in scores.items() if query.id in values}
    if answered is None:
        return line | {"error": outcome.error}
    return line | {
        "answer": answered.answer,
        "abstained": answered.abstained,
        "citations": [asdict(citation) for citation in answered.citations],
        "unsupported": list(answered.unsupported),
        "passages": [_reference(passage) for passage in answered.passages or ()],
        "usage": {node: asdict(usage) for node, usage in answered.usage.items()},
        "saved": {node: asdict(usage) for node, usage in answered.saved.items()},
    }


def _reference(passage: Passage) -> dict[str, Any]:
    """Where a passage stands, without its text, which the collection has."""
    names = ("id", "record", "source", "start", "end", "score")
    return {name: getattr(passage, name) for name in names}


def _trec(outcome: Outcome, run: str) -> Iterable[str]:
    found = ranked(outcome)
    for rank, document in enumerate(found, start=1):
        yield f"{outcome.query.id} Q0 {document} {rank} {len(found) - rank + 1} {run}"
