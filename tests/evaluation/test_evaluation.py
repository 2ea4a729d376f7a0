from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.core.types import Passage
from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import DataSet, Gold, Query, Question
from agentrag.evaluation.evaluation import Evaluation, compare, labelled, ranked_evaluation


def run(name: str, system: str = "bm25", relevant: int = 1, **setup: object) -> Evaluation:
    query = Query(Question("q", "where?"), Gold(relevant={"d": relevant}))
    outcome = Outcome(query, Answered(passages=(Passage("d", "", "d", record="d"),)))
    return Evaluation(name, {"setup": {"system": system, "data": "x", **setup}}, (outcome,))


ONE, TWO = "20261125-101010-x-bm25-aaaaaaaa", "20261125-101011-x-bm25-bbbbbbbb"


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([run(ONE), run(TWO, "graphs/mine.yaml")], ["bm25", "mine"]),
        ([run(ONE, "convex", inputs={"weight": "0.3"}), run(TWO, "convex")], ["convex weight=0.3", "convex"]),
        ([run(ONE, whole=True), run(TWO)], ["bm25 whole", "bm25"]),
        ([run(ONE), run(TWO)], ["bm25 aaaaaaaa", "bm25 bbbbbbbb"]),
        ([run("monday"), run("tuesday")], ["monday", "tuesday"]),
        ([run("a/run"), run("a/run")], ["a/run", "a/run"]),
    ],
    ids=["systems", "inputs", "whole", "ids", "folders-that-people-named", "the-same-run"],
)
def test_runs_are_called_as_shortly_as_tells_them_apart(runs: list[Evaluation], names: list[str]) -> None:
    assert [each.name for each in labelled(runs)] == names


def test_a_run_cannot_be_compared_with_itself_or_where_a_question_is_judged_differently() -> None:
    with pytest.raises(DataSetError, match="Two systems are named 'monday'"):
        compare(run("monday"), run("monday"))
    with pytest.raises(DataSetError, match="Question 'q' was judged by different gold"):
        compare(run("monday"), run("tuesday", relevant=2))


def test_questions_without_a_relevant_document_are_counted(tmp_path: Path) -> None:
    assert (run("a").unjudged, run("a", relevant=0).unjudged, run("a", relevant=-1).unjudged) == (0, 1, 1)
    assert "ndcg@10" not in run("a", relevant=-1).metrics


def test_other_metrics_of_the_ranking_are_scored_from_the_same_outcomes() -> None:
    found = run("a").scored_by(["success@1", "ndcg@3"])
    assert [name for name in found.metrics if "@" in name] == ["success@1", "ndcg@3"]
    with pytest.raises(DataSetError, match="Unknown metric"):
        run("a").scored_by(["accuracy"])


def test_the_ranking_of_another_tool_is_judged_by_a_data_set(rivers: Path) -> None:
    (rivers / "theirs.trec").write_text("q1 Q0 p1 1 3 t\nq2 Q0 p1 1 2 t\nq2 Q0 p2 2 1 t\n", encoding="utf-8")
    found = ranked_evaluation(rivers / "theirs.trec", DataSet(rivers))
    assert (found.run, found.n) == ("theirs", 2)
    assert found.metrics["mrr@10"].mean == pytest.approx((1 + 1 / 2) / 2)
    assert "calls" not in found.metrics
