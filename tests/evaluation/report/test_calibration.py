from __future__ import annotations

import math
import random

import pytest

from agentrag.evaluation.asking.ask import Answered, Outcome
from agentrag.evaluation.data.dataset import Gold, Query, Question
from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.report.calibration import Foretold, auroc, binned, calibrations, foretold, wilson
from tests.evaluation.report.samples import found, made, query


def evaluated(*outcomes: Outcome, event: str = "relevant") -> Evaluation:
    return Evaluation("r", {"signals": {"odds": event}}, outcomes)


def outcome(name: str, odds: float | None, gold: Gold, answered: Answered | None = None) -> Outcome:
    said = answered or Answered("x", found("d1"))
    signals = {} if odds is None else {"odds": odds}
    return Outcome(Query(Question(name, "?"), gold), Answered(said.answer, said.passages, said.abstained, signals=signals))


def test_relevant_is_told_by_the_documents_that_were_retrieved() -> None:
    judged = Gold(("x",), {"d1": 1})
    kept, notes = foretold(
        evaluated(
            outcome("hit", 0.0, judged),
            outcome("miss", 2.0, judged, Answered("x", found("d2", "d3"))),
            outcome("judged not relevant", 0.0, Gold(("x",), {"d1": 0, "d7": 1})),
            outcome("cannot be answered", -2.0, Gold(answerable=False)),
            outcome("unjudged", 0.0, Gold(("x",), {})),
            outcome("gate not reached", None, judged),
            outcome("no number", math.nan, judged),
            Outcome(query(1), None, error="broke"),
        ),
        "odds",
        "relevant",
    )
    assert [(each.id, each.true) for each in kept] == [
        ("hit", True),
        ("miss", False),
        ("judged not relevant", False),
        ("cannot be answered", False),
    ]
    assert kept[0].probability == 0.5
    assert kept[1].probability == pytest.approx(1 / (1 + math.exp(-2)))
    assert notes == ("1 question left out: the data set does not say what is right.",)


def test_right_is_told_by_golden_answers_and_not_for_refusals() -> None:
    gold = Gold(("gold",), {})
    run = evaluated(
        outcome("right", 1.0, gold, Answered("the gold one")),
        outcome("wrong", 1.0, gold, Answered("silver")),
        outcome("refused", -3.0, gold, Answered("cannot say", abstained=True)),
        outcome("invented", 1.0, Gold(answerable=False), Answered("gold")),
        outcome("no golden answer", 1.0, Gold(), Answered("gold")),
        event="right",
    )
    kept, notes = foretold(run, "odds", "right")
    assert [(each.id, each.true) for each in kept] == [("right", True), ("wrong", False), ("invented", False)]
    assert notes == (
        "1 refused question left out: what would have been answered is not known.",
        "1 question left out: the data set does not say what is right.",
    )


@pytest.mark.parametrize("odds", [math.inf, -math.inf, 1e6, -1e6])
def test_log_odds_of_any_size_are_probabilities(odds: float) -> None:
    kept, _ = foretold(evaluated(outcome("q", odds, Gold((), {"d1": 1}))), "odds", "relevant")
    assert kept[0].probability == (1.0 if odds > 0 else 0.0)


def drawn(n: int, seed: int = 1) -> list[Foretold]:
    """Probabilities that are what they say."""
    chance = random.Random(seed)
    probabilities = [chance.random() for _ in range(n)]
    return [Foretold(f"q{place:04}", each, chance.random() < each) for place, each in enumerate(probabilities)]


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (1, [1]), (19, [19]), (20, [10, 10]), (105, [10, 11, 11, 10, 10])])
def test_bins_have_equal_sizes_of_ten_questions_or_more(n: int, sizes: list[int]) -> None:
    bins = binned(drawn(n), most=max(len(sizes), 2)) if n < 100 else binned(drawn(n))[:5]
    assert sum(each.n for each in binned(drawn(n))) == n
    assert len(binned(drawn(n))) <= 10
    if n < 100:
        assert [each.n for each in bins] == sizes
    else:
        assert all(each.n in (10, 11) for each in bins)


def test_questions_with_equal_probabilities_are_in_one_bin() -> None:
    kept = [Foretold(f"q{place:03}", 0.2 if place < 75 else 0.9, place % 2 == 0) for place in range(100)]
    assert [(each.n, round(each.probability, 6)) for each in binned(kept)] == [(75, 0.2), (25, 0.9)]


def test_probabilities_that_are_what_they_say_lie_on_the_diagonal() -> None:
    bins = binned(drawn(5000))
    assert len(bins) == 10
    assert all(abs(each.probability - each.share.mean) < 0.07 for each in bins)
    assert sum(each.share.low <= each.probability <= each.share.high for each in bins) >= 8


@pytest.mark.parametrize(
    ("true", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0)]
)
def test_intervals_of_shares_are_those_of_wilson(true: int, n: int, low: float, high: float) -> None:
    share = wilson(true, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-4)


def test_the_area_is_the_share_of_pairs_in_the_right_order_and_ties_count_half() -> None:
    kept = [Foretold(str(place), each, true) for place, (each, true) in enumerate(
        [(0.1, False), (0.4, True), (0.4, False), (0.8, True)]
    )]  # fmt: skip
    area = auroc(kept)
    assert area is not None
    assert area.mean == (1 + 0.5 + 1 + 1) / 4
    assert area.low <= area.mean <= area.high
    assert auroc(kept) == area
    assert auroc(list(reversed(kept))) == area


def test_the_area_is_not_defined_where_the_outcome_is_the_same_for_all() -> None:
    assert auroc([Foretold("a", 0.1, True), Foretold("b", 0.9, True)]) is None
    assert auroc([]) is None


def test_a_run_has_a_curve_for_each_channel_and_few_questions_are_told() -> None:
    run = made("gated", 0.6, n=20, signals={"answerable": "relevant", "sure": "right", "other": "unheard of"})
    first, second = calibrations(run)
    assert (first.channel, first.n, second.channel) == ("answerable", 20, "sure")
    assert first.notes[-1] == "Only 20 questions: below 30 a curve says little."
    assert first.ece == pytest.approx(sum(each.n * abs(each.probability - each.share.mean) for each in first.bins) / 20)
    assert list(calibrations(made("plain", 0.6))) == []


def test_one_bin_has_no_calibration_error() -> None:
    (found,) = calibrations(made("gated", 0.6, n=19, signals={"answerable": "relevant"}))
    assert (len(found.bins), found.ece) == (1, None)
    assert found.auroc is not None


def test_a_channel_that_no_question_reached_has_no_numbers() -> None:
    (empty,) = calibrations(evaluated(outcome("q", None, Gold((), {"d1": 1}))))
    assert (empty.n, empty.bins, empty.ece, empty.auroc) == (0, (), None, None)
    assert empty.notes == ("No question has both a probability and a known outcome.",)
