"""Servers that fail three calls in ten, in all ways: every run ends, with an answer or with the name of the node."""

from __future__ import annotations

import time

import pytest

from tests.models.storm import storm


@pytest.mark.parametrize(
    "runs", [200, pytest.param(5000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])], ids=["200 runs", "5,000 runs"]
)
async def test_every_run_through_a_storm_of_faults_ends_and_leaves_nothing_behind(runs: int) -> None:
    await storm(5, seed=0)  # what is opened once for all
    begun = time.monotonic()
    tally = await storm(runs, seed=7)
    print(f"{dict(tally.ended)} in {time.monotonic() - begun:.1f} s with {tally.exchanges} exchanges")
    assert tally.wrong == []
    assert tally.left == (0, 0)
    assert tally.ended.total() == runs
    assert tally.ended["answer"] > runs / 2
    assert 0 < tally.ended["cancelled"] < runs / 10
    assert any(end.startswith("failed at") for end in tally.ended), "a storm that nothing falls to proves little"
