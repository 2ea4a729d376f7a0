from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest

from agentrag.core.errors import ModelError
from agentrag.models.breaker import Breaker


@dataclass
class Clock:
    """A clock that is set by hand."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def call(breaker: Breaker, ends: str) -> str:
    """Make a call that ends well ("well"), in a fault ("fault", or "fault 60" with the server's Retry-After) or "refused"."""
    kind, _, wait = ends.partition(" ")
    try:
        with breaker.call():
            if kind != "well":
                raise ModelError(ends, retryable=kind == "fault", retry_after=float(wait) if wait else None)
    except ModelError as error:
        return ends if str(error) == ends else f"left alone {error.retry_after:g}"
    return ends


@pytest.mark.parametrize(
    ("ends", "rest"),
    [
        ("fault fault", 0),
        ("fault fault fault", 30),
        ("fault fault well fault fault", 0),
        ("fault fault refused fault fault", 0),
        ("refused refused refused refused", 0),
    ],
)
def test_so_many_faults_in_a_row_open_it_and_refusals_are_none(ends: str, rest: int) -> None:
    breaker = Breaker("host:80", faults=3, seconds=30.0, now=Clock())
    for each in ends.split():
        assert call(breaker, each) == each
    assert breaker.rest == rest


def test_a_longer_wait_that_the_server_asks_for_holds_instead() -> None:
    breaker = Breaker("host:80", faults=1, seconds=30.0, now=Clock())
    call(breaker, "fault 90")
    assert breaker.rest == 90
    assert call(breaker, "well") == "left alone 90"


@pytest.mark.parametrize(("probe", "after"), [("well", "well"), ("refused", "well"), ("fault", "left alone 30")])
def test_after_the_cool_down_one_call_decides(probe: str, after: str) -> None:
    clock = Clock()
    breaker = Breaker("host:80", faults=2, seconds=30.0, now=clock)
    call(breaker, "fault")
    call(breaker, "fault")
    clock.seconds += 12
    assert call(breaker, "well") == "left alone 18"
    clock.seconds += 18
    assert call(breaker, probe) == probe
    assert call(breaker, "well") == after


def test_while_one_call_probes_all_others_fail_at_once() -> None:
    clock = Clock()
    breaker = Breaker("host:80", faults=1, seconds=30.0, now=clock)
    call(breaker, "fault")
    clock.seconds += 30
    with breaker.call():
        assert [call(breaker, "well") for _ in range(3)] == ["left alone 1"] * 3
    assert call(breaker, "well") == "well"


async def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    clock = Clock()
    breaker = Breaker("host:80", faults=1, seconds=30.0, now=clock)
    call(breaker, "fault")
    clock.seconds += 30

    async def probe() -> None:
        with breaker.call():
            await asyncio.sleep(60)

    task = asyncio.create_task(probe())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert call(breaker, "fault") == "fault"
    assert breaker.rest == 30


def test_calls_that_began_before_it_opened_do_not_prolong_it_and_may_close_it() -> None:
    clock = Clock()
    breaker = Breaker("host:80", faults=1, seconds=30.0, now=clock)
    early, late = breaker.call(), breaker.call()
    early.__enter__()
    late.__enter__()
    call(breaker, "fault")
    clock.seconds += 10
    early.__exit__(ModelError, ModelError("x", retryable=True), None)
    assert breaker.rest == 20
    late.__exit__(None, None, None)
    assert breaker.rest == 0


def test_every_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    breaker = Breaker("host:80", faults=2, seconds=30.0, now=clock)
    with caplog.at_level(logging.INFO, "agentrag.models"):
        call(breaker, "fault")
        call(breaker, "fault")
        clock.seconds += 30
        call(breaker, "well")
    assert caplog.messages == [
        "host:80: open for 30 s after 2 faults in a row: fault",
        "host:80: half-open, one call tries it",
        "host:80: closed, it answers again",
    ]
