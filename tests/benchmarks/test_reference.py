"""The reference rows of three small data sets agree with known values; the page is made of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentrag.core.settings import load_settings
from agentrag.evaluation.scoring.metrics import DEFAULT
from agentrag.models.pull import pull
from benchmarks.reference import CONVEX, RANKINGS, chosen, measure_all
from benchmarks.reference_known import SETS, TOLERANCE, known
from benchmarks.reference_table import distances, page
from benchmarks.scoring import rankings, scoring, theirs

SMALL = ("toole-multi", "livemcpbench", "strategyqa")


@pytest.fixture(scope="module")
def root() -> Path:
    root = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"there are no evaluation data at {root} (AGENTRAG_DATA)")
    return root


@pytest.mark.model
@pytest.mark.timeout(600)
async def test_three_small_sets_agree_with_plain_code(root: Path, tmp_path: Path) -> None:
    settings = load_settings()
    pull(settings.embedder, settings.cache)
    rows = await measure_all(SMALL, root, settings.model_copy(update={"home": tmp_path / "home"}), tmp_path / "runs")
    off = {(name, ranking): distance for name, ranking, distance in distances(rows)}
    assert len(off) == 4 + 2 + 4  # of livemcpbench two are of other texts there
    far = {key: distance for key, distance in off.items() if abs(distance) > TOLERANCE[key[1]]}
    assert far == {}
    text = page(rows)
    assert text.count("\n| toole-multi | ") == 3
    assert "10 of 10 known values are met." in text
    for row in rows:
        assert list(row.report) == [*RANKINGS, CONVEX]
        assert row.report[CONVEX].metrics["ndcg@10"].mean > 0
        assert row.weight == chosen(row.tuned)


def test_every_development_set_has_something_to_agree_with(root: Path) -> None:
    assert {path.name for path in root.iterdir() if path.is_dir()} == set(SETS)
    assert all(known(name) for name in SETS)


@pytest.mark.parametrize(
    ("tuned", "weight"),
    [({0.0: 0.5, 0.3: 0.7, 1.0: 0.6}, 0.3), ({0.2: 0.7, 0.4: 0.7, 0.9: 0.7}, 0.4), ({0.4: 0.7, 0.6: 0.7}, 0.4)],
    ids=["best", "nearest-to-the-middle", "first"],
)
def test_the_best_weight_is_chosen_and_of_equal_ones_the_middle(tuned: dict[float, float], weight: float) -> None:
    assert chosen(tuned) == weight


def test_scoring_is_measured_beside_the_same_metrics_of_pytrec_eval() -> None:
    found, judged = rankings(20, 30)
    assert len(theirs(found, judged)) == 20
    assert theirs(found, judged)["q0"].keys() == {"ndcg_cut_10", "recall_5", "recall_10", "recip_rank", "map", "success_5"}
    assert len(DEFAULT) == 7  # sufficiency follows from recall
    assert all(seconds > 0 for seconds in scoring(20, 30, rounds=1))
