import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import StoreError
from agentrag.core.types import Citation, Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.record import as_json, write_run
from agentrag.evaluation.scoring.scores import summarise

FOUND = tuple(Passage(f"c{n}", "text", f"corpus#{name}", record=name) for n, name in enumerate(["d2", "d1", "d2"]))
CITED = Citation(1, "corpus#d1", None, "", 3, 7, "gold")
OUTCOMES = [
    Outcome(
        Query(Question("q1", "where?"), Gold(("gold",), {"d1": 1})),
        Answered("gold [1]", FOUND, citations=(CITED,), unsupported=("so",), usage={"write": Usage(calls=1)}),
    ),
    Outcome(Query(Question("q2", "when?"), Gold(("then",), {"d2": 1})), None, error="it broke"),
]


def test_a_run_folder_holds_answers_scores_and_ranking(tmp_path: Path) -> None:
    folder = tmp_path / "evals" / "run-1"
    write_run(folder, OUTCOMES, summarise(OUTCOMES), {"system": "ask"})
    first, second = map(json.loads, (folder / "answers.jsonl").read_text().splitlines())
    assert (first["answer"], first["citations"][0]["quote"], first["unsupported"]) == ("gold [1]", "gold", ["so"])
    assert first["scores"]["em"] == 1.0
    assert [passage["record"] for passage in first["passages"]] == ["d2", "d1", "d2"]
    assert (second["error"], second["scores"]["f1"]) == ("it broke", 0.0)
    assert (folder / "run.trec").read_text() == "q1 Q0 d2 1 2 run-1\nq1 Q0 d1 2 1 run-1\n"
    whole = json.loads((folder / "metrics.json").read_text())
    assert whole["settings"] == {"system": "ask"}
    assert whole["metrics"]["em"]["mean"] == 0.5


def test_the_ranking_file_is_what_trec_tools_read(tmp_path: Path) -> None:
    from ir_measures import calc_aggregate, nDCG, read_trec_run

    read: Callable[[str], Any] = read_trec_run

    write_run(tmp_path / "r", OUTCOMES, summarise(OUTCOMES), {})
    judged = {outcome.query.id: dict(outcome.query.gold.relevant) for outcome in OUTCOMES}
    found = calc_aggregate([nDCG @ 10], judged, read(str(tmp_path / "r" / "run.trec")))
    assert found[nDCG @ 10] == pytest.approx(summarise(OUTCOMES).metrics["ndcg@10"].mean)


def test_the_json_form_has_what_scripts_rely_on() -> None:
    data = as_json(summarise(OUTCOMES), "run-1")
    assert {"metrics", "n", "usage", "run"} <= data.keys()
    assert set(data["metrics"]["f1"]) == {"mean", "low", "high"}
    assert (data["n"], data["run"], data["failed"]) == (2, "run-1", {"q2": "it broke"})
    assert data["usage"]["write"]["calls"] == 1
    json.dumps(data)


def test_a_run_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "evals").write_text("a file is in the way")
    with pytest.raises(StoreError, match=r"Run folder .* cannot be written"):
        write_run(tmp_path / "evals" / "r", OUTCOMES, summarise(OUTCOMES), {})
