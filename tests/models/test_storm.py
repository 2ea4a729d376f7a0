"""Servers that fail three calls in ten, in all ways: every run ends, with an answer or with the name of the node."""

from __future__ import annotations

import time

import pytest

from tests.models.storm import storm

pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'OpenAIChatCompletion:RuntimeWarning")
SOAK = (pytest.mark.soak, pytest.mark.timeout(1200))


@pytest.mark.parametrize(
    ("runs", "litellm"),
    [(200, False), (30, True), pytest.param(5000, False, marks=SOAK), pytest.param(500, True, marks=SOAK)],
    ids=["200 runs", "30 runs through litellm", "5,000 runs", "500 runs through litellm"],
)
async def test_every_run_through_a_storm_of_faults_ends_and_leaves_nothing_behind(runs: int, litellm: bool) -> None:
    await storm(5, 0, litellm)  # what is opened once for all
    begun = time.monotonic()
    tally = await storm(runs, 7, litellm)
    print(f"{dict(tally.ended)} in {time.monotonic() - begun:.1f} s with {tally.exchanges} exchanges")
    assert tally.wrong == []
    assert tally.left == (0, 0)
    assert tally.ended.total() == runs
    assert tally.ended["answer"] > runs / 3
    assert tally.ended["cancelled"] > 0
    assert any(end.startswith("failed at") for end in tally.ended), "a storm that nothing falls to proves little"
