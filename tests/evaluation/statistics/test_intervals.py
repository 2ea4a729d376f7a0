from math import sqrt

import numpy as np
import pytest
from scipy.stats import bootstrap

from agentrag.evaluation.statistics.intervals import Interval, Share, interval, intervals, share


def test_an_interval_agrees_with_that_of_scipy() -> None:
    values = np.random.default_rng(7).normal(0.6, 0.2, 80).tolist()
    own = interval(values)
    other = bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert own.mean == pytest.approx(np.mean(values))
    assert (own.low, own.high) == pytest.approx((other.low, other.high), abs=0.003)


def test_equal_values_and_seed_give_equal_intervals_and_another_seed_another() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.5, 0.25]
    assert interval(values, 1) == interval(values, 1)
    assert interval(list(np.random.default_rng(0).random(300)), 1) != interval(list(np.random.default_rng(0).random(300)), 2)


def test_an_interval_narrows_with_the_square_root_of_the_number_of_values() -> None:
    few, many = interval([0.0, 1.0] * 50), interval([0.0, 1.0] * 5_000)
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(sqrt(100), rel=0.1)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_one_value_has_an_interval_of_width_zero(value: float) -> None:
    assert interval([value]) == Interval(value, value, value)


def test_equal_values_have_an_interval_that_holds_their_mean() -> None:
    found = interval([0.1] * 7)
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("values", [[], [float("nan"), 1.0], [float("inf")]], ids=["none", "nan", "inf"])
def test_no_values_or_endless_ones_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one number, and finite ones only"):
        interval(values)


def test_a_share_is_resampled_by_question_not_by_thing() -> None:
    independent = share([1.0, 0.0] * 100, [1.0] * 200)
    bunched = share([20.0, 0.0] * 5, [20.0] * 10)
    assert independent.mean == bunched.mean == 0.5
    assert bunched.high - bunched.low > 3 * (independent.high - independent.low)


def test_questions_that_have_none_of_the_things_do_not_change_a_share() -> None:
    assert share([1.0, 1.0, 0.0], [2.0, 2.0, 0.0]) == Interval(0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one number"):
        share([0.0], [0.0])


def test_several_metrics_have_the_intervals_that_each_has_alone() -> None:
    random = np.random.default_rng(3)
    metrics = [[Share(value) for value in random.random(n)] for n in (40, 25, 40)]
    metrics.append([Share(float(part), float(part + more)) for part, more in random.integers(0, 4, (40, 2))])
    for together, shares in zip(intervals(metrics), metrics, strict=True):
        alone = share([each.part for each in shares], [each.whole for each in shares])
        assert (together.low, together.mean, together.high) == pytest.approx((alone.low, alone.mean, alone.high), rel=1e-12)
