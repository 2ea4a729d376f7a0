from collections.abc import Sequence
from itertools import product
from math import inf, sqrt
from statistics import mean

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from agentrag.evaluation.statistics.intervals import Share, share
from agentrag.evaluation.statistics.paired import Paired, holm, paired

SIMULATIONS = 200


def plain(values: Sequence[float]) -> list[Share]:
    return [Share(value) for value in values]


def two_systems(n: int, seed: int, gain: float = 0.05) -> tuple[list[float], list[float]]:
    """Scores of two systems on n questions, most of whose variation they share."""
    random = np.random.default_rng(seed)
    hardness = random.normal(0.5, 0.2, n)
    return (hardness + random.normal(0, 0.1, n)).tolist(), (hardness + gain + random.normal(0, 0.1, n)).tolist()


def ratio(sums: Sequence[Share]) -> float:
    return sum(part for part, _ in sums) / sum(whole for _, whole in sums)


def p_by_hand(before: Sequence[Share], after: Sequence[Share]) -> float:
    """The exact test as its definition reads, over all questions."""
    observed = abs(ratio(after) - ratio(before))
    count = total = 0
    for swaps in product([False, True], repeat=len(before)):
        old = [two if swap else one for one, two, swap in zip(before, after, swaps, strict=True)]
        new = [one if swap else two for one, two, swap in zip(before, after, swaps, strict=True)]
        if sum(whole for _, whole in old) and sum(whole for _, whole in new):
            total += 1
            count += abs(ratio(new) - ratio(old)) >= observed - 1e-12
    return count / total


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_p_agrees_with_the_permutation_test_of_scipy(seed: int) -> None:
    before, after = two_systems(40, seed, gain=0.03)
    other = permutation_test(
        (before, after), lambda x, y: np.mean(y) - np.mean(x), permutation_type="samples", n_resamples=10_000, rng=seed
    )
    found = paired(plain(before), plain(after))
    assert found.difference == pytest.approx(other.statistic)
    assert found.p == pytest.approx(other.pvalue, abs=4 * sqrt(0.25 / 10_000))


@pytest.mark.parametrize("n", [5, 13])
def test_an_exact_p_is_that_of_scipy(n: int) -> None:
    before, after = two_systems(n, 4)
    other = permutation_test(
        (before, after), lambda x, y: np.mean(y) - np.mean(x), permutation_type="samples", n_resamples=10_000
    )
    assert paired(plain(before), plain(after)).p == pytest.approx(other.pvalue)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_interval_agrees_with_the_paired_bootstrap_of_scipy(seed: int) -> None:
    before, after = two_systems(80, seed)
    other = bootstrap(
        (before, after), lambda x, y: np.mean(y) - np.mean(x), paired=True, vectorized=False, method="percentile", rng=seed
    ).confidence_interval
    found = paired(plain(before), plain(after))
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.003)


def test_a_ratio_has_the_interval_of_scipy_over_whole_questions() -> None:
    random = np.random.default_rng(5)
    columns = random.integers(1, 4, (4, 60)).astype(float)

    def difference(one: np.ndarray, of: np.ndarray, two: np.ndarray, among: np.ndarray) -> float:
        return float(two.sum() / among.sum() - one.sum() / of.sum())

    other = bootstrap(tuple(columns), difference, paired=True, vectorized=False, method="percentile", rng=5)
    before, after = ([Share(*pair) for pair in columns[rows].T.tolist()] for rows in ([0, 1], [2, 3]))
    found = paired(before, after)
    limits = other.confidence_interval
    assert found.difference == pytest.approx(difference(*columns))
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), abs=0.02)


# The differences are 1, 2, 3. Of the 8 choices of signs only +++ and --- reach a sum of 6; ++- and the like do not.
@pytest.mark.parametrize(
    ("before", "after", "p"),
    [
        ([0, 0, 0], [1, 2, 3], 2 / 8),
        ([0, 0, 0], [-1, 2, 3], 4 / 8),  # sum 4: 6, 4 and their negatives
        ([0, 0, 5, 7], [1, 2, 5, 7], 2 / 4),  # equal questions do not count: +3, -3 of the 4 choices
        ([1, 1], [1, 1], 1.0),
        ([0, 1], [1, 0], 1.0),  # no difference is never more extreme than another
        ([0] * 6, [1] * 6, 2 / 64),
    ],
    ids=["all up", "one down", "two equal", "all equal", "balanced", "six up"],
)
def test_few_differences_are_enumerated(before: list[float], after: list[float], p: float) -> None:
    assert paired(plain(before), plain(after)).p == p


def test_many_differences_are_drawn_and_no_p_is_zero() -> None:
    found = paired(plain([0.0] * 40), plain([1.0] * 40))
    assert found.p == 1 / 10_001


@pytest.mark.parametrize("seed", range(6))
def test_the_p_of_ratios_is_that_of_swapping_whole_questions(seed: int) -> None:
    random = np.random.default_rng(seed)
    before, after = (
        [Share(float(random.integers(whole + 1)), float(whole)) for whole in random.integers(0, 3, 8)] for _ in range(2)
    )
    before[0] = after[1] = Share(1.0, 1.0)
    assert paired(before, after).p == pytest.approx(p_by_hand(before, after))


def test_swaps_and_resamples_that_leave_a_system_with_nothing_are_dropped() -> None:
    before, after = [Share(1, 1), Share(0, 0)], [Share(0, 1), Share(1, 2)]
    found = paired(before, after)
    # Observed: 1 before, 1/3 after. Swapping the first: 0 and 2/3. The second: 2/3 and 0. Both: 1/3 and 1.
    assert found.p == 1.0
    lone = paired([Share(1, 1), Share(0, 0)], [Share(0, 0), Share(1, 2)])
    # Swapping one question leaves a system with no whole; what remains are the observed swap and the full one.
    assert (lone.difference, lone.p) == (-0.5, 1.0)
    assert (lone.low, lone.high) == (-0.5, -0.5)


def test_plain_values_have_the_figures_of_the_textbook() -> None:
    before, after = [0.0, 0.25, 0.5, 0.0, 1.0, 0.5, 0.0, 0.75], [0.5, 0.25, 0.75, 0.5, 1.0, 0.25, 0.5, 1.0]
    changes = [0.5, 0.0, 0.25, 0.5, 0.0, -0.25, 0.5, 0.25]
    found = paired(plain(before), plain(after))
    spread = sqrt(sum((change - mean(changes)) ** 2 for change in changes) / 7)
    assert (found.n, found.before, found.after) == (8, 0.375, 0.59375)
    assert found.difference == mean(changes) == 0.21875
    assert found.effect == pytest.approx(0.21875 / spread)
    assert found.differing == 6
    # (1.95996 + 0.84162) * spread / sqrt(8) would be .279; what 8 questions that differ by .375 each make is more
    assert found.detectable == pytest.approx(8 * 0.375 / 8)
    assert found.low <= found.difference <= found.high


def test_the_standard_error_of_a_ratio_is_that_of_its_bootstrap() -> None:
    random = np.random.default_rng(9)
    wholes = random.integers(0, 4, (2, 400))
    parts = random.binomial(wholes, [[0.5], [0.6]])
    before, after = (
        [Share(float(part), float(whole)) for part, whole in zip(*pair, strict=True)]
        for pair in zip(parts, wholes, strict=True)
    )
    found = paired(before, after)
    assert found.detectable / (1.95996 + 0.84162) == pytest.approx((found.high - found.low) / (2 * 1.95996), rel=0.05)


def test_common_wholes_give_the_interval_of_one_share() -> None:
    random = np.random.default_rng(2)
    wholes = random.integers(1, 4, 200).astype(float).tolist()
    before, after = random.random((2, 200)).tolist()
    old, new = ([Share(*pair) for pair in zip(parts, wholes, strict=True)] for parts in (before, after))
    found = paired(old, new)
    changes = [two - one for one, two in zip(before, after, strict=True)]
    other = share(changes, wholes, seed=1)
    assert found.difference == pytest.approx(other.mean)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.005)


@pytest.mark.parametrize(
    ("before", "after", "effect", "detectable"),
    [
        ([0.3] * 6, [0.3] * 6, 0.0, inf),
        ([0.3, 0.6, 0.9] * 2, [0.4, 0.7, 1.0] * 2, inf, 0.0),
        ([0.4, 0.7, 1.0] * 2, [0.3, 0.6, 0.9] * 2, -inf, 0.0),
        ([0.5], [0.5], 0.0, inf),
        ([0.0], [1.0], inf, inf),
        ([0.0, 1.0], [1.0, 0.0], 0.0, inf),
    ],
    ids=["equal", "all up by the same", "all down by the same", "one", "one up", "balanced"],
)
def test_effects_without_variation_are_zero_or_infinite(
    before: list[float], after: list[float], effect: float, detectable: float
) -> None:
    found = paired(plain(before), plain(after))
    assert (found.effect, found.detectable) == (effect, detectable)
    assert found.low <= found.difference <= found.high


@pytest.mark.parametrize("moved", [1, 2, 4, 6])
def test_where_few_questions_differ_no_small_difference_is_called_detectable(moved: int) -> None:
    n = 1000
    found = paired(plain([0.0] * n), plain([1.0] * moved + [0.0] * (n - moved)))
    assert found.detectable == pytest.approx(8 / n)
    assert found.differing == moved


def test_questions_that_say_nothing_of_a_ratio_in_either_system_are_not_counted() -> None:
    before = [Share(1, 1), *[Share(0, 0)] * 19]
    after = [Share(0, 0), Share(0, 1), Share(0, 1), *[Share(0, 0)] * 17]
    found = paired(before, after)
    assert (found.n, found.differing, found.detectable) == (3, 3, inf)


@pytest.mark.parametrize("n", [1, 5])
def test_below_six_questions_nothing_is_found_and_nothing_is_called_detectable(n: int) -> None:
    found = paired(plain([0.0] * n), plain([0.5 + question / 10 for question in range(n)]))
    assert found.p > 0.05
    assert found.detectable == inf


@pytest.mark.parametrize("ratios", [False, True], ids=["plain", "ratios"])
def test_two_equal_systems_are_told_apart_once_in_twenty_times(ratios: bool) -> None:
    found = [_equal_systems(seed, ratios) for seed in range(SIMULATIONS)]
    false = sum(each.p < 0.05 for each in found) / SIMULATIONS
    covered = sum(each.low <= 0 <= each.high for each in found) / SIMULATIONS
    # 5 % of 200 has the standard deviation 1.5 %; the percentile interval is a little narrow at 50 questions.
    assert 0.01 <= false <= 0.10
    assert 0.89 <= covered <= 0.99


def _equal_systems(seed: int, ratios: bool) -> Paired:
    if not ratios:
        before, after = two_systems(50, seed, gain=0.0)
        return paired(plain(before), plain(after), seed)
    random = np.random.default_rng(seed)
    wholes = random.integers(0, 4, (2, 50))
    parts = random.binomial(wholes, random.beta(2, 2, 50))
    one, two = (
        [Share(float(part), float(whole)) for part, whole in zip(*pair, strict=True)]
        for pair in zip(parts, wholes, strict=True)
    )
    return paired(one, two, seed)


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    n = 50
    noise = np.random.default_rng(0).normal(0, 0.1, n)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * 0.14
    pilot = paired(plain([0.0] * n), plain(noise.tolist()))
    assert pilot.detectable == pytest.approx(2.80158 * 0.14 / sqrt(n), rel=1e-4)
    found = 0
    for seed in range(SIMULATIONS):
        changes = np.random.default_rng(seed).normal(pilot.detectable, 0.14, n)
        found += paired(plain([0.0] * n), plain(changes.tolist()), seed).p < 0.05
    assert 0.70 <= found / SIMULATIONS <= 0.90


def test_equal_shares_and_seed_give_an_equal_result_and_another_seed_another() -> None:
    before, after = (plain(values) for values in two_systems(60, 1))
    assert paired(before, after, 1) == paired(before, after, 1)
    assert paired(before, after, 1) != paired(before, after, 2)


def test_exchanging_the_systems_turns_the_sign_and_leaves_the_rest() -> None:
    before, after = (plain(values) for values in two_systems(60, 1))
    there, back = paired(before, after), paired(after, before)
    assert (there.difference, there.effect) == pytest.approx((-back.difference, -back.effect))
    assert (there.p, there.detectable) == pytest.approx((back.p, back.detectable))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([Share(1)], [Share(1), Share(0)], "1 questions before are not the 2 after"),
        ([], [], "at least one question"),
        ([Share(float("nan"))], [Share(1)], "finite numbers only"),
        ([Share(1)], [Share(1, float("inf"))], "finite numbers only"),
        ([Share(0, 0)], [Share(1)], "not all 0"),
        ([Share(1)], [Share(0, 0)], "not all 0"),
        ([Share(1, -1), Share(1, 2)], [Share(1), Share(1)], "are >= 0"),
    ],
    ids=["lengths", "none", "nan", "inf", "nothing before", "nothing after", "negative"],
)
def test_what_cannot_be_compared_is_refused(before: list[Share], after: list[Share], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired(before, after)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        # Ascending .005 x 4, .01 x 3, .03 x 2, .04 x 1; the last must not fall below the one before.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.2], [0.2]),
        ([], []),
    ],
    ids=["worked", "at most 1", "equal", "one", "none"],
)
def test_holm_steps_down(ps: list[float], adjusted: list[float]) -> None:
    assert holm(ps) == pytest.approx(adjusted)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_p(p: float) -> None:
    with pytest.raises(ValueError, match=r"in 0\.\.1"):
        holm([0.5, p])
