"""What the scatter and the Pareto plots are of, and that they show it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from markupsafe import Markup

from agentrag.evaluation.comparing.results import System
from agentrag.evaluation.report.calibration import calibrations
from agentrag.evaluation.report.charts import calibration_chart, intervals_chart, scatter_chart, tradeoff_chart
from agentrag.evaluation.report.pareto import Point, front, tradeoffs
from agentrag.evaluation.report.scatter import scatter
from agentrag.evaluation.report.units import Unit
from agentrag.evaluation.statistics.intervals import Interval, Share
from tests.evaluation.report.samples import HOSTILE, made, parsed


def exact(value: float) -> Interval:
    return Interval(value, value, value)


def system(name: str, values: Mapping[str, Share]) -> System:
    return System(name, {"f1": values}, {key: f"What is {key}? {HOSTILE}" for key in values}, {}, {})


def titles(drawn: Markup) -> list[str]:
    return [each.text or "" for each in parsed(drawn).iter("title")]


def marks(drawn: Markup, class_: str) -> int:
    return sum(class_ in each.get("class", "").split() for each in parsed(drawn).iter())


def test_questions_with_the_same_two_scores_are_one_spot() -> None:
    before = system("A", {"b": Share(0.0), "a": Share(0.0), "c": Share(1, 2), "d": Share(1.0), "e": Share(0, 0), "f": Share(1)})
    after = system("B", {"b": Share(1.0), "a": Share(1.0), "c": Share(2, 4), "d": Share(0.0), "e": Share(1.0), "g": Share(1)})
    found = scatter(before, after, "f1")
    assert [(spot.before, spot.after, [name for name, _ in spot.questions]) for spot in found.spots] == [
        (0.0, 1.0, ["a", "b"]),
        (0.5, 0.5, ["c"]),
        (1.0, 0.0, ["d"]),
    ]
    assert (found.rose, found.fell, found.same) == (2, 1, 1)


def test_a_spot_tells_its_first_questions_and_how_many_more_there_are() -> None:
    names = "abcdefgh"
    found = scatter(system("A", dict.fromkeys(names, Share(0.0))), system("B", dict.fromkeys(names, Share(1.0))), "f1")
    drawn = scatter_chart(found)
    (title,) = titles(drawn)
    lines = title.split("\n")
    assert lines[0] == "0.000 to 1.000, 8 questions"
    assert lines[1].startswith("a: What is a? <script>")
    assert (len(lines), lines[-1]) == (7, "and 3 more")
    assert "<script" not in drawn
    assert (marks(drawn, "spot"), marks(drawn, "rose")) == (1, 1)


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([(1, 0.5), (2, 0.6), (3, 0.55)], [True, True, False]),
        ([(1, 0.5), (1, 0.6)], [False, True]),
        ([(1, 0.5), (2, 0.5)], [True, False]),
        ([(1, 0.5), (1, 0.5)], [True, True]),
    ],
    ids=["dearer and worse", "as cheap", "as good", "equal"],
)
def test_the_front_is_of_runs_that_no_other_beats(runs: list[tuple[float, float]], kept: list[bool]) -> None:
    points = [Point(place, str(place), exact(cost), exact(quality)) for place, (cost, quality) in enumerate(runs)]
    assert [point.front for point in front(points)] == kept


def test_the_front_of_a_quality_that_is_better_lower_is_turned_round() -> None:
    points = [Point(0, "a", exact(1), exact(0.1)), Point(1, "b", exact(2), exact(0.3))]
    assert [point.front for point in front(points, higher=False)] == [True, False]


def test_money_is_shown_before_tokens_and_the_time_that_most_runs_have() -> None:
    runs = {
        "local": {"f1": exact(0.5), "usd": exact(0.0), "tokens": exact(900), "latency": exact(2.0), "seconds": exact(1.0)},
        "remote": {"f1": exact(0.6), "usd": exact(0.01), "tokens": exact(900), "seconds": exact(1.5)},
        "found": {"ndcg@10": exact(0.6)},
    }
    money, time = tradeoffs(["f1"], runs)
    assert (money.cost, [point.name for point in money.points], money.left_out) == ("usd", ["local", "remote"], ("found",))
    assert time.cost == "seconds"


@pytest.mark.parametrize(
    "runs",
    [
        {"a": {"f1": exact(0.5), "calls": exact(1)}},
        {"a": {"f1": exact(0.5), "calls": exact(1)}, "b": {"f1": exact(0.5), "calls": exact(1)}},
        {"a": {"f1": exact(0.5), "calls": exact(1)}, "b": {"calls": exact(2)}},
        {"a": {"f1": exact(0.5)}, "b": {"f1": exact(0.6)}},
    ],
    ids=["one run", "equal costs", "quality of one", "no costs"],
)
def test_there_is_no_plot_where_costs_do_not_differ_between_two_runs(runs: dict[str, dict[str, Interval]]) -> None:
    assert list(tradeoffs(["f1"], runs)) == []


def test_a_plot_of_costs_has_a_mark_per_run_the_front_and_every_name_in_words() -> None:
    runs = {
        f"run <{number}>": {"f1": Interval(0.4 + number / 20, 0.3, 0.9), "tokens": Interval(10.0**number, 1.0, 2e5)}
        for number in range(6)
    }
    (found,) = tradeoffs(["f1"], runs)
    drawn = tradeoff_chart(found)
    assert (marks(drawn, "mark"), marks(drawn, "front"), marks(drawn, "whisker"), marks(drawn, "label")) == (6, 1, 36, 6)
    assert "logarithmic" in drawn
    assert titles(drawn)[0] == "run <0>: quality 0.400 (0.300 to 0.900), 1 tokens (1 to 200,000) on the Pareto front"
    assert (parsed(drawn).findtext("desc") or "").count("on the Pareto front") == 6


def test_intervals_of_runs_are_below_each_other_on_one_scale() -> None:
    drawn = intervals_chart("f1", Unit(), [(0, "A", Interval(0.5, 0.4, 0.6)), (2, "C", Interval(0.7, 0.6, 0.8))])
    assert titles(drawn) == ["A 0.500 (0.400 to 0.600)", "C 0.700 (0.600 to 0.800)"]
    assert (marks(drawn, "run0"), marks(drawn, "run2"), marks(drawn, "whisker")) == (1, 1, 6)
    assert "1.00" in intervals_chart("f1", Unit(), [(0, "A", exact(1.0))])


def test_a_calibration_has_a_mark_with_whiskers_and_a_count_per_bin() -> None:
    (found,) = calibrations(made("gated", 0.6, n=100, signals={"answerable": "relevant"}))
    drawn = calibration_chart(found)
    assert (marks(drawn, "mark"), marks(drawn, "whisker"), marks(drawn, "diagonal")) == (10, 30, 1)
    assert all(" of 10 questions" in title for title in titles(drawn))
