import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.errors import DataSetError, StoreError
from agentrag.core.types import Citation, Passage, Usage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.evaluation import Evaluation, load_evaluation
from agentrag.evaluation.folder.folder import RunFolder

FOUND = tuple(Passage(f"c{n}", "text", f"corpus#{name}", record=name) for n, name in enumerate(["d2", "d1", "d2"]))
CITED = Citation(1, "corpus#d1", None, "", 3, 7, "gold")
COST = {"write": Usage(calls=1, prompt_tokens=7, completion_tokens=3, seconds=0.5)}
OUTCOMES = (
    Outcome(
        Query(Question("q1", "where?"), Gold(("gold",), {"d1": 1})),
        Answered("gold [1]", FOUND, citations=(CITED,), unsupported=("so",), signals={"answerable": 1.5}, usage=COST),
        seconds=0.75,
    ),
    Outcome(Query(Question("q2", "when?"), Gold(("then",), {"d2": 1, "d3": -1})), None, error="it broke"),
    Outcome(Query(Question("q3", "why?"), Gold(answerable=False)), Answered("no", (), abstained=True, saved=COST)),
)
QUERIES = [outcome.query for outcome in OUTCOMES]
ABOUT = {"run": "20261125-1", "setup": {"system": "ask", "data": "somewhere"}}


def written(path: Path) -> Evaluation:
    """The evaluation of all outcomes, in a folder."""
    folder = RunFolder(path)
    folder.begin(ABOUT, QUERIES, {"graph": "agentrag: 1\n"})
    for outcome in OUTCOMES:
        folder.add(outcome)
    found = Evaluation(folder.run, ABOUT, OUTCOMES, path)
    folder.finish(OUTCOMES, found.scores, found.as_json())
    return found


def test_what_is_read_again_is_what_was_written_but_for_the_texts_of_passages(tmp_path: Path) -> None:
    found = written(tmp_path / "run-1")
    again = load_evaluation(tmp_path / "run-1")
    assert (again.run, again.n, again.about["setup"]) == ("run-1", 3, ABOUT["setup"])
    assert again.metrics == found.metrics
    assert again.scores == found.scores
    assert again.failed == {"q2": "it broke"}
    first, second, third = again.outcomes
    assert first.answered is not None
    assert first.answered.signals == {"answerable": 1.5}
    assert first.answered.citations == (CITED,)
    assert first.query.gold == Gold(("gold",), {"d1": 1})
    assert second.query.gold.relevant == {"d2": 1, "d3": -1}
    assert (third.query.gold.answerable, third.answered and third.answered.abstained) == (False, True)


def test_the_files_are_those_that_other_tools_read(tmp_path: Path) -> None:
    written(tmp_path / "run-1")
    assert (tmp_path / "run-1" / "run.trec").read_text() == "q1 Q0 d2 1 2 run-1\nq1 Q0 d1 2 1 run-1\n"
    assert (tmp_path / "run-1" / "qrels.tsv").read_text() == "query-id\tdoc-id\tscore\nq1\td1\t1\nq2\td2\t1\nq2\td3\t-1\n"
    assert (tmp_path / "run-1" / "graph.yaml").read_text() == "agentrag: 1\n"
    header, first, *_ = (tmp_path / "run-1" / "scores.csv").read_text().splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["query"], float(row["em"]), float(row["recall@5"])) == ("q1", 1.0, 1.0)
    whole = json.loads((tmp_path / "run-1" / "metrics.json").read_text())
    assert whole["metrics"]["em"]["mean"] == 0.5
    assert whole["failed"] == {"q2": "it broke"}


def test_the_ranking_file_gives_trec_tools_our_numbers(tmp_path: Path) -> None:
    from ir_measures import calc_aggregate, nDCG, read_trec_run

    read: Callable[[str], Any] = read_trec_run
    found = written(tmp_path / "r")
    judged = {query.id: {doc: max(0, score) for doc, score in query.gold.relevant.items()} for query in QUERIES[:2]}
    theirs = calc_aggregate([nDCG @ 10], judged, read(str(tmp_path / "r" / "run.trec")))
    assert theirs[nDCG @ 10] == pytest.approx(found.metrics["ndcg@10"].mean)


def test_numbers_are_computed_from_the_answers_and_not_believed(tmp_path: Path) -> None:
    found = written(tmp_path / "r")
    (tmp_path / "r" / "metrics.json").write_text('{"metrics": {"em": {"mean": 1.0}}}')
    (tmp_path / "r" / "scores.csv").unlink()
    (tmp_path / "r" / "run.trec").unlink()
    assert load_evaluation(tmp_path / "r").metrics == found.metrics


def test_what_was_answered_before_a_stop_is_read_without_the_line_that_was_cut(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin(ABOUT, QUERIES, {})
    folder.add(OUTCOMES[0])
    with (tmp_path / "r" / "answers.jsonl").open("a") as file:
        file.write('{"id": "q2", "sec')
    before = (tmp_path / "r" / "answers.jsonl").read_bytes()
    assert list(folder.outcomes(QUERIES)) == ["q1"]
    assert (tmp_path / "r" / "answers.jsonl").read_bytes() == before  # who writes it may be at work
    folder.mend()
    folder.add(OUTCOMES[2])
    assert list(folder.outcomes(QUERIES)) == ["q1", "q3"]
    assert load_evaluation(tmp_path / "r").n == 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("run.json", "{", r"run\.json cannot be read"),
        ("run.json", '{"format": 99}', "was written by a later version"),
        ("answers.jsonl", '{"id": "q9"}\n', r"answers\.jsonl:1: answers 'q9', which is none of the questions"),
        ("answers.jsonl", '{"id": "q1"}\n', r"answers\.jsonl:1: is not a line of a run folder \(KeyError"),
        ("answers.jsonl", '[]\n{"id": "q1"}\n', "should be an object"),
        ("queries.jsonl", '{"id": "q1"}\n', r"queries\.jsonl:1: is not a line of a run folder"),
        ("qrels.tsv", "header\nq1\td1\n", r"qrels\.tsv:2: should be query-id"),
    ],
)
def test_a_damaged_folder_is_told_with_file_and_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    written(tmp_path / "r")
    (tmp_path / "r" / name).write_text(text)
    with pytest.raises(DataSetError, match=says):
        load_evaluation(tmp_path / "r")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"is no run folder: it has no run\.json"):
        load_evaluation(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "evals").write_text("a file is in the way")
    with pytest.raises(StoreError, match=r"Run folder .* cannot be written"):
        RunFolder(tmp_path / "evals" / "r").begin(ABOUT, QUERIES, {})


def test_rows_make_a_table_with_a_column_per_metric(tmp_path: Path) -> None:
    first, second, third = written(tmp_path / "r").rows()
    assert (first["query"], first["text"], first["answer"], first["em"], first["tokens"]) == (
        "q1",
        "where?",
        "gold [1]",
        1.0,
        10,
    )
    assert (second["answer"], second["error"], second["f1"]) == (None, "it broke", 0.0)
    assert (third["em"], third["abstention_recall"]) == (None, 1.0)
    assert first.keys() == second.keys() == third.keys()
