"""What a comparison says: systems, and metric by metric what lies between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from agentrag.evaluation.scoring.metrics import Scores
from agentrag.evaluation.statistics.paired import Paired

Direction = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "cheaper", "dearer", "no difference shown"]


@dataclass(frozen=True)
class System:
    """What a system did on its questions.

    Attributes:
        scores: What each question adds to each metric. A metric need not have every question.
        questions: Text by id, of every question that was asked.
        better: Which way a metric is better; "higher" where it is not named. Costs are better lower, named or not.
        judged: Hex digest of the gold that a question was judged by, by question id.
        costs: Those metrics that are costs: they have an interval, but are not tested.
    """

    name: str
    scores: Scores
    questions: Mapping[str, str]
    better: Mapping[str, Direction]
    judged: Mapping[str, str]
    costs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of a system and its baseline.

    Attributes:
        p_holm: p adjusted for all tests of the comparison; None for a cost.
        verdict: Of the system, against the baseline. "better" and "worse" where `p_holm` < .05; "cheaper" and "dearer"
            where the interval of a cost leaves out 0.
    """

    system: str
    baseline: str
    metric: str
    paired: Paired
    p_holm: float | None
    verdict: Verdict

    @property
    def cost(self) -> bool:
        """Whether the metric is a cost."""
        return self.p_holm is None

    def flat(self) -> dict[str, str | int | float | None]:
        """The row as one level of named values, for a data frame; a cost has the p None."""
        found = asdict(self.paired)
        sizes = {name: found.pop(name) for name in ("effect", "detectable", "differing")}
        named = {"system": self.system, "baseline": self.baseline, "metric": self.metric}
        ps = {"p": None if self.cost else self.paired.p, "p_holm": self.p_holm}
        return named | found | ps | sizes | {"verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Move:
    """A question whose score differs between two systems. `before` and `after` are part / whole."""

    id: str
    text: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Moved:
    """The questions whose score rose and fell most in a metric, the largest change first, ties by id."""

    metric: str
    up: tuple[Move, ...]
    down: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A system against the baseline.

    Attributes:
        rows: One per metric.
        notes: What was left out, in sentences.
        moved: In the first quality metric; None where only costs are compared.
    """

    system: str
    baseline: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    moved: Moved | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every system against the baseline. `tests` is the number of tests that Holm's method adjusts for."""

    baseline: str
    pairs: tuple[Pair, ...]
    tests: int

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """A flat row per system and metric, which `pandas.DataFrame` takes as it is.

        Its names: system, baseline, metric, n, before, after, difference, low, high, p, p_holm, effect, detectable,
        differing, verdict.
        """
        return [row.flat() for pair in self.pairs for row in pair.rows]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON data; an infinite effect or detectable difference, which JSON does not have, is null."""
        return {
            "baseline": self.baseline,
            "tests": self.tests,
            "rows": [{name: _finite(value) for name, value in row.items()} for row in self.rows()],
            "notes": {pair.system: list(pair.notes) for pair in self.pairs},
            "moved": {pair.system: asdict(pair.moved) for pair in self.pairs if pair.moved},
        }


def _finite(value: str | int | float | None) -> str | int | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
