import json
from collections.abc import Mapping, Sequence
from math import inf

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.comparing.comparison import compare_systems, moved
from agentrag.evaluation.comparing.results import Comparison, Direction, Move, System
from agentrag.evaluation.statistics.intervals import Share
from agentrag.evaluation.statistics.paired import paired

NAMES = ["system", "baseline", "metric", "n", "before", "after", "difference", "low", "high"]
NAMES += ["p", "p_holm", "effect", "detectable", "differing", "verdict"]
TWO = {"A": [0.0] * 6, "B": [1.0] * 6}


def plain(values: Mapping[str, float] | Sequence[float]) -> dict[str, Share]:
    """Shares by question; a list is of q0, q1 and so on."""
    named = values if isinstance(values, Mapping) else {f"q{number}": value for number, value in enumerate(values)}
    return {id_: Share(value) for id_, value in named.items()}


def system(
    name: str,
    metrics: Mapping[str, Mapping[str, float] | Sequence[float]],
    better: Mapping[str, Direction] | None = None,
    costs: frozenset[str] = frozenset(),
) -> System:
    scores = {metric: plain(values) for metric, values in metrics.items()}
    ids = dict.fromkeys(id_ for values in scores.values() for id_ in values)
    return System(name, scores, {id_: f"What is {id_}?" for id_ in ids}, better or {}, dict.fromkeys(ids, "a1"), costs)


def verdicts(comparison: Comparison) -> dict[tuple[str, str], str]:
    return {(row.system, row.metric): row.verdict for pair in comparison.pairs for row in pair.rows}


def test_every_other_system_is_compared_with_the_first() -> None:
    found = compare_systems([system("A", {"f1": [0.0] * 6}), system("B", {"f1": [1.0] * 6}), system("C", {"f1": [0.0] * 6})])
    assert [(pair.baseline, pair.system) for pair in found.pairs] == [("A", "B"), ("A", "C")]
    assert found.baseline == "A"
    assert found.pairs[0].rows[0].paired == paired([Share(0.0)] * 6, [Share(1.0)] * 6)


@pytest.mark.parametrize(
    ("direction", "rose", "fell"),
    [("higher", "better", "worse"), ("lower", "worse", "better")],
)
def test_a_verdict_follows_the_direction_of_the_metric(direction: Direction, rose: str, fell: str) -> None:
    low, high = [0.0] * 8, [1.0] * 8  # p is 2 / 256; 4 tests leave 0.03
    better = {"up": direction, "down": direction}
    systems = [
        system("A", {"up": low, "down": high}, better),
        system("B", {"up": high, "down": low}, better),
        system("C", {"up": low, "down": high}, better),
    ]
    assert verdicts(compare_systems(systems)) == {
        ("B", "up"): rose,
        ("B", "down"): fell,
        ("C", "up"): "no difference shown",
        ("C", "down"): "no difference shown",
    }


def test_holm_is_over_all_quality_tests_of_all_systems_and_no_cost() -> None:
    zeros, ones = [0.0] * 6, [1.0] * 6  # p is 2 / 64
    costs = frozenset({"calls"})
    systems = [system(name, {"em": values, "calls": ones}, costs=costs) for name, values in (("A", zeros), ("B", ones))]
    alone = compare_systems(systems)
    assert (alone.tests, alone.rows()[0]["p_holm"], alone.rows()[0]["verdict"]) == (1, 2 / 64, "better")
    systems.append(system("C", {"em": [1.0, *zeros[1:]], "calls": ones}, costs=costs))  # p is 1
    both = compare_systems(systems)
    assert [row["p"] for row in both.rows()] == [2 / 64, None, 1.0, None]
    assert [row["p_holm"] for row in both.rows()] == [4 / 64, None, 1.0, None]
    assert (both.tests, both.rows()[0]["verdict"]) == (2, "no difference shown")


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ([2.0, 3.0, 4.0, 5.0] * 2, "dearer"),
        ([0.0, 1.0, 2.0, 3.0] * 2, "cheaper"),
        ([2.0, 1.0, 4.0, 3.0] * 2, "no difference shown"),
        ([1.0, 2.0, 3.0, 4.0] * 2, "no difference shown"),
        ([1.0 + 1e-12, 2.0, 3.0, 4.0] * 2, "no difference shown"),
        ([9.0, 9.0, 9.0, 9.0], "no difference shown"),
    ],
    ids=["one more each", "one less each", "both ways", "equal", "rounding", "few"],
)
def test_a_cost_is_cheaper_or_dearer_by_its_interval(after: list[float], verdict: str) -> None:
    costs = frozenset({"calls"})
    before = ([1.0, 2.0, 3.0, 4.0] * 2)[: len(after)]
    found = compare_systems([system("A", {"calls": before}, costs=costs), system("B", {"calls": after}, costs=costs)])
    assert verdicts(found) == {("B", "calls"): verdict}
    assert found.tests == 0
    assert found.pairs[0].rows[0].cost
    assert found.pairs[0].moved is None


def test_the_cost_of_a_single_question_shows_nothing() -> None:
    costs = frozenset({"calls"})
    found = compare_systems([system("A", {"calls": [1.0]}, costs=costs), system("B", {"calls": [2.0]}, costs=costs)])
    assert verdicts(found) == {("B", "calls"): "no difference shown"}


def test_metrics_are_those_that_both_have_in_the_order_of_the_baseline_with_costs_last() -> None:
    values = [0.0, 1.0]
    costs = frozenset({"usd"})
    before = system("A", {"usd": values, "recall@5": values, "f1": values, "em": values}, costs=costs)
    after = system("B", {"em": values, "f1": values, "usd": values, "recall@5": values, "mrr": values}, costs=costs)
    assert [row["metric"] for row in compare_systems([before, after]).rows()] == ["recall@5", "f1", "em", "usd"]
    assert [row["metric"] for row in compare_systems([before, after], ["em", "recall@5", "em"]).rows()] == ["em", "recall@5"]


def test_only_common_questions_count_and_the_others_are_told() -> None:
    before = system("A", {"f1": {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 0.0}})
    after = system("B", {"f1": {"q1": 0.0, "q2": 0.0, "q5": 1.0}})
    pair = compare_systems([before, after]).pairs[0]
    assert (pair.rows[0].paired.n, pair.rows[0].paired.before, pair.rows[0].paired.after) == (2, 0.5, 0.0)
    assert pair.notes == (
        "2 questions were left out: only A was asked.",
        "1 question was left out: only B was asked.",
    )


def test_a_common_question_that_only_one_has_a_score_for_is_told_by_metric() -> None:
    before = system("A", {"f1": [0.0, 1.0, 1.0], "em": [0.0, 1.0, 1.0]})
    after = system("B", {"f1": [0.0, 1.0, 1.0], "em": {"q0": 0.0}})
    pair = compare_systems([before, after]).pairs[0]
    assert [(row.metric, row.paired.n) for row in pair.rows] == [("f1", 3), ("em", 1)]
    assert pair.notes == ("2 questions were left out of em: only A has a score.",)


@pytest.mark.parametrize(
    "shares",
    [{}, {"q0": Share(0.0, 0.0), "q1": Share(0.0, 0.0)}, {"q9": Share(1.0)}],
    ids=["no question", "no wholes", "none that was asked"],
)
def test_a_metric_with_nothing_to_count_is_noted_and_left_out(shares: dict[str, Share]) -> None:
    before = system("A", {"f1": [0.0, 1.0], "cited": [1.0, 1.0]})
    after = system("B", {"f1": [0.0, 1.0]})
    after = System("B", {**after.scores, "cited": shares}, after.questions, {}, after.judged)
    pair = compare_systems([before, after]).pairs[0]
    assert [row.metric for row in pair.rows] == ["f1"]
    assert pair.notes[-1] == "cited is not compared: on the common questions there is nothing that it counts."


def test_a_ratio_is_compared_as_the_ratio_of_its_sums() -> None:
    asked = {"q1": "?", "q2": "?"}
    before = System("A", {"cited": {"q1": Share(1, 2), "q2": Share(0, 0)}}, asked, {}, {})
    after = System("B", {"cited": {"q1": Share(1, 1), "q2": Share(2, 3)}}, asked, {}, {})
    pair = compare_systems([before, after]).pairs[0]
    assert (pair.rows[0].paired.before, pair.rows[0].paired.after) == (0.5, 0.75)
    assert pair.moved is not None
    assert pair.moved.up == (Move("q1", "?", 0.5, 1.0),)  # q2 had nothing to count before


def test_the_questions_that_moved_most_come_first_and_ties_by_id() -> None:
    before = {"a": 0.1, "b": 0.0, "c": 0.4, "d": 0.2, "e": 0.5, "f": 1.0, "g": 0.0, "h": 0.3, "i": 0.9}
    after = {"a": 0.4, "b": 0.9, "c": 0.7, "d": 0.2, "e": 0.8, "f": 0.0, "g": 1.0, "h": 0.4, "i": 0.8}
    # 0.4 - 0.1, 0.7 - 0.4 and 0.8 - 0.5 differ in their last bits only: they are ties.
    found = moved(system("A", {"f1": before}), system("B", {"f1": after}), "f1")
    assert [move.id for move in found.up] == ["g", "b", "a", "c", "e"]
    assert [move.id for move in found.down] == ["f", "i"]
    assert found.up[0] == Move("g", "What is g?", 0.0, 1.0)
    short = moved(system("A", {"f1": before}), system("B", {"f1": after}), "f1", most=1)
    assert ([move.id for move in short.up], [move.id for move in short.down]) == (["g"], ["f"])


def test_a_pair_shows_what_moved_in_its_first_quality_metric() -> None:
    costs = frozenset({"usd"})
    before = system("A", {"usd": [1.0, 1.0], "f1": [0.0, 0.5], "em": [1.0, 1.0]}, costs=costs)
    after = system("B", {"usd": [2.0, 2.0], "f1": [0.0, 1.0], "em": [0.0, 0.0]}, costs=costs)
    found = compare_systems([before, after]).pairs[0].moved
    assert found is not None
    assert (found.metric, found.up, found.down) == ("f1", (Move("q1", "What is q1?", 0.5, 1.0),), ())
    assert [move.id for move in moved(before, after, "em").down] == ["q0", "q1"]


def test_rows_are_flat_and_in_the_order_of_their_names() -> None:
    costs = frozenset({"calls"})
    systems = [system(name, {"f1": values, "calls": [1.0] * 6}, costs=costs) for name, values in TWO.items()]
    quality, cost = compare_systems(systems).rows()
    assert list(quality) == list(cost) == NAMES
    assert quality == {
        "system": "B",
        "baseline": "A",
        "metric": "f1",
        "n": 6,
        "before": 0.0,
        "after": 1.0,
        "difference": 1.0,
        "low": 1.0,
        "high": 1.0,
        "p": 2 / 64,
        "p_holm": 2 / 64,
        "effect": inf,
        "detectable": 0.0,
        "differing": 6,
        "verdict": "better",
    }
    assert (cost["p"], cost["p_holm"], cost["effect"]) == (None, None, 0.0)


def test_json_has_all_of_it_and_null_for_what_is_infinite() -> None:
    comparison = compare_systems([system(name, {"f1": values}) for name, values in TWO.items()])
    found = json.loads(json.dumps(comparison.as_json(), allow_nan=False))
    assert list(found) == ["baseline", "tests", "rows", "notes", "moved"]
    assert found["rows"] == [comparison.rows()[0] | {"effect": None}]
    assert (found["baseline"], found["tests"], found["notes"]) == ("A", 1, {"B": []})
    assert found["moved"]["B"]["metric"] == "f1"
    assert found["moved"]["B"]["up"][0] == {"id": "q0", "text": "What is q0?", "before": 0.0, "after": 1.0}
    assert (len(found["moved"]["B"]["up"]), found["moved"]["B"]["down"]) == (5, [])


def test_equal_systems_and_seed_give_an_equal_comparison_whatever_the_order_of_questions() -> None:
    before = {f"q{number}": number % 7 / 7 for number in range(30)}
    after = {f"q{number}": number % 5 / 5 for number in range(30)}
    turned = [system("A", {"f1": dict(reversed(before.items()))}), system("B", {"f1": dict(reversed(after.items()))})]
    straight = [system("A", {"f1": before}), system("B", {"f1": after})]
    assert compare_systems(straight) == compare_systems(turned)
    assert compare_systems(straight, seed=1) != compare_systems(straight, seed=2)


def test_a_question_judged_by_different_gold_ends_the_comparison() -> None:
    before, after = (system(name, {"f1": [0.0, 1.0]}) for name in "AB")
    changed = System("B", after.scores, after.questions, {}, {"q0": "a1", "q1": "b2"})
    with pytest.raises(DataSetError, match="Question 'q1' was judged by different gold in 'A' and in 'B'"):
        compare_systems([before, changed])


def test_gold_of_a_question_that_only_one_was_asked_does_not_matter() -> None:
    before, after = system("A", {"f1": [0.0, 1.0]}), system("B", {"f1": [0.0]})
    after = System("B", after.scores, after.questions, {}, {"q0": "a1", "q1": "b2"})
    assert compare_systems([before, after]).pairs[0].rows[0].paired.n == 1


@pytest.mark.parametrize(
    ("systems", "metrics", "message"),
    [
        ([], None, "at least two systems, not 0"),
        ([system("A", {"f1": [1.0]})], None, "at least two systems, not 1"),
        ([system("A", {"f1": [1.0]})] * 2, None, "Two systems are named 'A'"),
        ([system("A", {"f1": {"q1": 1.0}}), system("B", {"f1": {"q2": 1.0}})], None, "'A' and 'B' have no question in common"),
        ([system("A", {"f1": [1.0]}), system("B", {"em": [1.0]})], None, "'A' and 'B' have no metric in common"),
        (
            [system("A", {"f1": [1.0], "em": [1.0]}), system("B", {"f1": [1.0]})],
            ["f2"],
            r"Unknown metric 'f2'\. Known: f1\.",
        ),
        ([system("A", {"f1": [1.0]}), system("B", {"f1": [float("nan")]})], None, "f1 of 'A' and 'B' .* finite numbers only"),
    ],
    ids=["none", "one", "same name", "no question", "no metric", "unknown metric", "not a number"],
)
def test_what_cannot_be_compared_is_refused(systems: list[System], metrics: list[str] | None, message: str) -> None:
    with pytest.raises(DataSetError, match=message):
        compare_systems(systems, metrics)


def test_moves_in_an_unknown_metric_are_refused() -> None:
    with pytest.raises(DataSetError, match="Unknown metric 'em'"):
        moved(system("A", {"f1": [1.0]}), system("B", {"f1": [1.0]}), "em")


def test_a_metric_that_only_one_has_is_told() -> None:
    old, new = system("A", {"em": [1.0] * 6, "citation_precision": [1.0] * 6}), system("B", {"em": [1.0] * 6, "f1": [1.0] * 6})
    (pair,) = compare_systems([old, new]).pairs
    assert pair.notes == (
        "citation_precision is not compared: only A has it.",
        "f1 is not compared: only B has it.",
    )
    assert compare_systems([old, new], ["em"]).pairs[0].notes == ()
