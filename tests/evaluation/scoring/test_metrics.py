import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.scoring.answers import MEASURES
from agentrag.evaluation.scoring.metrics import DEFAULT, METRICS, Metric, in_order, metric
from agentrag.evaluation.scoring.ranking import KNOWN


def test_every_metric_has_a_name_of_its_own_and_one_line_about_it() -> None:
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)
    assert all(each.about and "\n" not in each.about and not each.about.endswith(".") for each in METRICS)


def test_the_table_has_every_measure_of_answers_and_rankings() -> None:
    assert [each.name for each in METRICS if each.kind == "answer"] == list(MEASURES)
    assert {each.name for each in METRICS if each.kind == "ranking"} == set(KNOWN)


def test_costs_and_wrong_refusals_are_better_lower_and_all_else_higher() -> None:
    lower = {each.name for each in METRICS if each.better == "lower"}
    assert lower == {"wrongly_refused", "calls", "tokens", "usd", "seconds", "latency", "first_token"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("f1", Metric("f1", "answer", "higher", "token F1 with the golden answer that fits best")),
        ("ndcg@7", Metric("ndcg@7", "ranking", "higher", "nDCG of the first 7 documents, linear gains")),
        (
            "mrr@10",
            Metric(
                "mrr@10", "ranking", "higher", "1 / rank of the first relevant document, 0 where it is not among the first 10"
            ),
        ),
        ("map", Metric("map", "ranking", "higher", "average precision of the whole ranking")),
        ("map@100", Metric("map@100", "ranking", "higher", "average precision of the first 100 documents")),
    ],
)
def test_a_metric_is_found_by_its_name(name: str, found: Metric) -> None:
    assert metric(name) == found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("citation_precison", "Unknown metric 'citation_precison'. Did you mean 'citation_precision'"),
        ("ndcg@0", "Unknown metric of rankings 'ndcg@0'. Did you mean 'ndcg@k'"),
        ("f1@5", "Unknown metric 'f1@5'"),
        ("ndcg", "Unknown metric 'ndcg'"),
    ],
)
def test_an_unknown_metric_is_told_with_the_nearest_one(name: str, says: str) -> None:
    with pytest.raises(DataSetError, match=says):
        metric(name)


def test_metrics_of_rankings_stand_where_they_stand_in_the_table_in_the_order_asked_for() -> None:
    order = in_order(["recall@20", "map", "recall@20", "ndcg@3"])
    assert order[:9] == ["em", "f1", "contains", "rouge_l", "yes_no", "recall@20", "map", "ndcg@3", "citation_precision"]
    assert order[-1] == "first_token"
    assert in_order(DEFAULT)[5:12] == list(DEFAULT)
    assert all(metric(name).name == name for name in in_order(DEFAULT))


def test_only_metrics_of_rankings_can_be_asked_for() -> None:
    with pytest.raises(DataSetError, match="Unknown metric of rankings 'em'"):
        in_order(["em"])
