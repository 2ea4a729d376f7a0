"""Units, axes and the places of labels: what charts and tables are made of."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from agentrag.evaluation.report.labels import Box, placed
from agentrag.evaluation.report.scales import Axis, costs, label, linear, logarithmic
from agentrag.evaluation.report.svg import COLOURS, MARKS, element, mark, picture
from agentrag.evaluation.report.units import Unit, counted, shortened, unit_of
from tests.evaluation.report.samples import parsed


@pytest.mark.parametrize(
    ("name", "largest", "value", "shown", "word"),
    [
        ("recall@5", 0.9, 0.91234, "0.912", ""),
        ("latency", 0.25, 0.0123, "12", "ms"),
        ("latency", 0.0012, 0.00034, "0.34", "ms"),
        ("seconds", 12.0, 3.456, "3.5", "s"),
        ("tokens", 1534.0, 1234.4, "1,234", "tokens"),
        ("usd", 0.00121, 0.0009, "0.00090", "USD"),
        ("usd", 0.0, 0.0, "0", "USD"),
        ("latency", 0.0125, 0.00004, "0.04", "ms"),
        ("latency", 0.0125, 0.000036, "0.036", "ms"),
        ("latency", 0.0125, 0.0, "0.0", "ms"),
        ("tokens", 1534.0, 3.2, "3.2", "tokens"),
        ("tokens", 1534.0, 3.0, "3", "tokens"),
        ("latency", 12.5, 1e-12, "0.0", "s"),
    ],
)
def test_a_number_is_written_in_the_unit_of_its_metric(name: str, largest: float, value: float, shown: str, word: str) -> None:
    unit = unit_of(name, largest)
    assert (unit.shown(value), unit.name) == (shown, word)


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert Unit().shown(-0.0001) == "0.000"


def test_nouns_follow_their_number_and_texts_are_cut_on_one_line() -> None:
    assert [counted(0, "run"), counted(1, "run"), counted(2, "call was", "calls were")] == ["0 runs", "1 run", "2 calls were"]
    assert shortened("a\n  b" + "c" * 10, 6) == "a bcc…"


@pytest.mark.parametrize(
    ("values", "low", "high", "labels"),
    [
        ([0.12, 0.38], 0.1, 0.4, ["0.10", "0.15"]),
        ([0.0, 1.0], 0.0, 1.0, ["0.0", "0.2"]),
        ([3.0, 4712.0], 0.0, 5000.0, ["0", "1,000"]),
        ([0.9612, 0.9788], 0.96, 0.98, ["0.9600", "0.9625"]),
        ([5.0], 2.0, 8.0, ["2", "3"]),
        ([0.0], 0.0, 0.5, ["0.0", "0.1"]),
    ],
)
def test_an_axis_begins_and_ends_at_round_numbers_around_its_values(
    values: list[float], low: float, high: float, labels: list[str]
) -> None:
    axis = linear(values, 0, 100)
    assert (axis.low, axis.high) == pytest.approx((low, high))
    assert [label(tick, axis) for tick in axis.ticks[:2]] == labels
    assert len(axis.ticks) <= 9


def test_values_are_placed_between_the_ends_and_never_outside() -> None:
    axis = linear([0.0, 1.0], 300, 100)
    assert [axis.place(value) for value in (0.0, 0.25, 1.0, 7.0, -7.0)] == [300, 250, 100, 100, 300]


def test_equal_factors_are_equally_long_on_a_logarithmic_axis() -> None:
    axis = costs([1.0, 10.0, 100.0], 0, 100)
    assert axis.log
    assert axis.place(10.0) - axis.place(1.0) == pytest.approx(axis.place(100.0) - axis.place(10.0))
    assert axis.ticks == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
    assert label(0.001, Axis(0.0005, 0.1, 0, 1, (0.001,), log=True), factor=1000) == "1"


@pytest.mark.parametrize("values", [[0.0, 100.0], [10.0, 100.0]], ids=["nothing among them", "near each other"])
def test_other_costs_are_on_an_axis_from_nothing(values: list[float]) -> None:
    axis = costs(values, 0, 100)
    assert (axis.log, axis.low) == (False, 0.0)


def test_a_logarithmic_axis_refuses_what_it_has_no_place_for() -> None:
    with pytest.raises(ValueError, match="not above 0"):
        logarithmic([0.0, 1.0], 0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_many_points_cover_neither_each_other_nor_a_point(seed: int) -> None:
    chance = random.Random(seed)
    points = [(chance.uniform(60, 400), chance.uniform(20, 290)) for _ in range(12)]
    inside = Box(56, 10, 440, 300)
    boxes = placed(points, [(chance.uniform(30, 150), 13.0) for _ in points], inside)
    assert all(inside.holds(box) for box in boxes)
    assert sum(one.shares(other) for one, other in combinations(boxes, 2)) == 0
    marks = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    assert sum(box.shares(each) for box in boxes for each in marks) == 0


def test_a_label_keeps_away_from_whiskers_where_it_can_and_is_pushed_in_where_nothing_fits() -> None:
    inside, right = Box(0, 0, 200, 200), Box(110, 90, 200, 110)
    (free,), (kept,) = placed([(100, 100)], [(40, 12)], inside), placed([(100, 100)], [(40, 12)], inside, [right])
    assert free.shares(right) > 0
    assert kept.shares(right) == 0
    (wide,) = placed([(100, 100)], [(190, 12)], inside)
    assert (wide.left, wide.right) == (5, 195)


def test_text_and_attributes_of_a_picture_cannot_become_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    drawn = picture(10, 10, hostile, mark(0, 1, 1, title=hostile), element("text", hostile, x=1), detail=hostile)
    assert "<script" not in drawn
    whole = parsed(drawn)
    assert whole.attrib["aria-label"] == hostile
    assert [each.text for each in whole.iter() if each.text] == [hostile] * 3


def test_twenty_runs_have_marks_that_differ() -> None:
    marks = [mark(number, 0, 0) for number in range(MARKS * COLOURS)]
    shapes = {(each.tag, each.get("points"), each.get("class")) for each in marks}
    assert len(shapes) == 20
