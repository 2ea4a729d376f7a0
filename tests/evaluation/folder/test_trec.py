from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.folder.trec import ranked_outcomes, read_rankings


def written(folder: Path, *lines: str) -> Path:
    path = folder / "other.trec"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_ranking_is_ordered_by_score_whatever_its_ranks_say(tmp_path: Path) -> None:
    path = written(tmp_path, "q Q0 b 1 0.5 run", "q Q0 a 2 9.0 run", "", "r Q0 c 1 1 run")
    assert read_rankings(path) == {"q": ["a", "b"], "r": ["c"]}


def test_equal_scores_are_ordered_by_id_from_z_to_a_as_trec_eval_does(tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    path = written(tmp_path, "q Q0 a 1 1.0 run", "q Q0 c 2 1.0 run", "q Q0 b 3 1.0 run")
    assert read_rankings(path) == {"q": ["c", "b", "a"]}
    for relevant, rank in (("a", 3), ("b", 2), ("c", 1)):
        scorer = pytrec_eval.RelevanceEvaluator({"q": {relevant: 1}}, {"recip_rank"})
        assert scorer.evaluate({"q": {"a": 1.0, "c": 1.0, "b": 1.0}})["q"]["recip_rank"] == pytest.approx(1 / rank)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["q Q0 a 1 nan run"], r"other\.trec:1: the score of document 'a' is nan"),
        (["q Q0 a 1 inf run"], "is inf, which has no place in an order"),
        (["q Q0 a 1 1 run", "q Q0 a 2 0.5 run"], r"other\.trec:2: ranks document 'a' twice for query 'q'"),
        (["q a 1 0.5"], "should be 6 fields"),
        (["q Q0 a 1 high run"], "should be 6 fields"),
        ([], "is an empty run"),
    ],
    ids=["nan", "infinite", "twice", "short", "no-number", "empty"],
)
def test_a_wrong_ranking_is_told_with_its_place(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(DataSetError, match=says):
        read_rankings(written(tmp_path, *lines))


def test_a_ranking_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="cannot be read"):
        read_rankings(tmp_path / "none.trec")


def test_the_queries_of_a_ranking_are_those_that_it_names_and_strangers_are_told(rivers: Path) -> None:
    data = DataSet(rivers)
    (only,) = ranked_outcomes({"q2": ["p1", "p2"]}, data, rivers)
    assert only.answered is not None
    assert (only.query.id, [passage.record for passage in only.answered.passages or ()]) == ("q2", ["p1", "p2"])
    with pytest.raises(DataSetError, match="ranks documents for query 'q9'"):
        ranked_outcomes({"q9": ["p1"]}, data, rivers)
    with pytest.raises(DataSetError, match="ranks document 'p9' for 'q1', which the data set does not have"):
        ranked_outcomes({"q1": ["p1", "p9"]}, data, rivers)


def test_scores_that_single_precision_cannot_tell_apart_are_equal_as_in_trec_eval(tmp_path: Path) -> None:
    path = written(tmp_path, "q Q0 a 1 16.12345678 run", "q Q0 b 2 16.12345677 run")
    assert read_rankings(path) == {"q": ["b", "a"]}
