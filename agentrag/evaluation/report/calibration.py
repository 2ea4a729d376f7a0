"""What a gate or a filter foretold, against what came true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.report.units import counted
from agentrag.evaluation.scoring.scores import ranked
from agentrag.evaluation.statistics.intervals import RESAMPLES, SEED, Interval

BINS = 10
"""Most points of a curve."""

LEAST = 10
"""Questions in a bin, where there are enough for two of them."""

FEW = 30
"""Below so many questions a curve says little."""

FORETELLS = {
    "relevant": "a relevant document is among the retrieved passages",
    "right": "the answer holds a golden answer",
}
_Z = 1.959963984540054  # of a 95 % interval
_BLOCK = 500_000  # drawn counts held at once
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Foretold:
    """A question's probability of something, in 0..1, and whether it came true."""

    id: str
    probability: float
    true: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions with like probabilities.

    Attributes:
        n: How many, >= 1.
        probability: Their mean.
        share: For how many of them it came true, with its 95 % interval by Wilson.
    """

    n: int
    probability: float
    share: Interval


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the probabilities of a channel can be believed.

    Attributes:
        run: Name of the evaluation.
        channel: Where the log-odds stood.
        event: What they foretell, in words.
        n: Questions that have both a probability and an outcome.
        true: For how many of them it came true.
        bins: Of as equal sizes as equal probabilities allow, rising; empty where n is 0.
        ece: Expected calibration error: mean distance of the bins from what they foretell, weighted by size. Chance alone
            keeps it above 0. None where there are fewer than two bins: of one it is just the difference of two means.
        auroc: Chance that a question for which it came true has the higher probability of two; None where it came true
            for all or for none.
        notes: What is to be known before this is believed, in sentences.
    """

    run: str
    channel: str
    event: str
    n: int
    true: int
    bins: tuple[Bin, ...]
    ece: float | None
    auroc: Interval | None
    notes: tuple[str, ...]


def calibrations(evaluation: Evaluation) -> Iterator[Calibration]:
    """One for each channel of log-odds that the run kept, if its data set says what came true."""
    for channel, event in sorted(evaluation.about.get("signals", {}).items()):
        if event in FORETELLS:
            yield _calibration(evaluation, channel, event)


def foretold(evaluation: Evaluation, channel: str, event: str) -> tuple[list[Foretold], tuple[str, ...]]:
    """The questions that have both a number in a channel and an outcome, with sentences on those that were left out."""
    kept: list[Foretold] = []
    refused = unknown = 0
    for outcome in evaluation.outcomes:
        odds = outcome.answered.signals.get(channel) if outcome.answered else None
        if odds is None or math.isnan(odds):
            continue
        true = _relevant(outcome) if event == "relevant" else _right(outcome, evaluation)
        if event == "right" and outcome.answered and outcome.answered.abstained:
            refused += 1
        elif true is None:
            unknown += 1
        else:
            kept.append(Foretold(outcome.query.id, _probability(odds), true))
    notes = []
    if refused:
        notes.append(f"{counted(refused, 'refused question')} left out: what would have been answered is not known.")
    if unknown:
        notes.append(f"{counted(unknown, 'question')} left out: the data set does not say what is right.")
    return kept, tuple(notes)


def _calibration(evaluation: Evaluation, channel: str, event: str) -> Calibration:
    kept, notes = foretold(evaluation, channel, event)
    if not kept:
        notes = (*notes, "No question has both a probability and a known outcome.")
    elif len(kept) < FEW:
        notes = (*notes, f"Only {counted(len(kept), 'question')}: below {FEW} a curve says little.")
    bins = binned(kept)
    true = sum(each.true for each in kept)
    ece = sum(each.n * abs(each.probability - each.share.mean) for each in bins) / len(kept) if len(bins) > 1 else None
    return Calibration(
        evaluation.name or evaluation.run, channel, FORETELLS[event], len(kept), true, bins, ece, auroc(kept), notes
    )


def binned(kept: Sequence[Foretold], most: int = BINS) -> tuple[Bin, ...]:
    """Bins of as equal sizes as can be; questions with equal probabilities are never parted."""
    rising = sorted(kept, key=lambda each: (each.probability, each.id))
    count = min(most, max(1, len(rising) // LEAST))
    edges = [0]
    for number in range(1, count + 1):
        edge = round(number * len(rising) / count)
        while edge < len(rising) and rising[edge].probability == rising[edge - 1].probability:
            edge += 1
        if edge > edges[-1]:
            edges.append(edge)
    return tuple(_bin(rising[begin:end]) for begin, end in pairwise(edges))


def wilson(true: int, n: int) -> Interval:
    """A share with its 95 % score interval, which is right for shares near 0 and 1 too.

    Args:
        true: 0..n.
        n: >= 1.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    >>> str(wilson(0, 10)), str(wilson(5, 10))
    ('0.000 [0.000, 0.278]', '0.500 [0.237, 0.763]')
    """
    share = true / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def auroc(kept: Sequence[Foretold], seed: int = SEED) -> Interval | None:
    """Area under the ROC curve with its 95 % percentile bootstrap interval over the questions; equal probabilities count half.

    None where it came true for all or for none. Resamples in which it did are left out.
    """
    rising = sorted(kept, key=lambda each: each.probability)
    true = np.array([each.true for each in rising], dtype=np.float64)
    if not 0 < true.sum() < len(true):
        return None
    starts = np.unique([each.probability for each in rising], return_index=True)[1]
    area = float(_areas(np.ones((1, len(true))), true, starts)[0])
    areas = np.concatenate([_areas(counts, true, starts) for counts in _resamples(len(true), seed)])
    low, high = np.percentile(areas, [2.5, 97.5])
    return Interval(area, min(area, float(low)), max(area, float(high)))


def _areas(counts: Array, true: Array, starts: NDArray[np.int64]) -> Array:
    """Areas of resamples.

    Args:
        counts: How often each question is in each, by rising probability: shape (resamples, n).
        true: 1.0 where it came true: shape (n,).
        starts: Where a new probability begins.
    """
    above = np.add.reduceat(counts * true, starts, axis=1)
    below = np.add.reduceat(counts * (1 - true), starts, axis=1)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    won = (above * (below.cumsum(axis=1) - below / 2)).sum(axis=1)
    areas: Array = won[pairs > 0] / pairs[pairs > 0]
    return areas


def _resamples(n: int, seed: int) -> Iterator[Array]:
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n)
    for begun in range(0, RESAMPLES, rows):
        yield random.multinomial(n, np.full(n, 1 / n), size=min(rows, RESAMPLES - begun)).astype(np.float64)


def _bin(members: Sequence[Foretold]) -> Bin:
    n = len(members)
    return Bin(n, sum(each.probability for each in members) / n, wilson(sum(each.true for each in members), n))


def _relevant(outcome: Outcome) -> bool | None:
    """Whether a relevant document was retrieved; None where nothing was judged. Nothing is for what cannot be answered."""
    gold = outcome.query.gold
    if gold.answerable and not any(score > 0 for score in gold.relevant.values()):
        return None
    return gold.answerable and any(gold.relevant.get(document, 0) > 0 for document in ranked(outcome))


def _right(outcome: Outcome, evaluation: Evaluation) -> bool | None:
    """Whether the answer is right; None where no golden answer says so. None is to what cannot be answered."""
    if not outcome.query.gold.answerable:
        return False
    found = evaluation.scores.get("contains", {}).get(outcome.query.id)
    return found.part == found.whole if found and found.whole else None


def _probability(odds: float) -> float:
    """From log-odds, without an overflow."""
    return 0.5 * (1 + math.tanh(odds / 2))
