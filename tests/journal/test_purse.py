"""Budgets of tenants: exact over threads and processes, by windows of UTC, cautious where a process or the clock fails."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentrag.core.budget import NOTHING, Spend, Unit
from agentrag.core.errors import StoreError
from agentrag.core.tenant import Per, TenantBudget, TenantError
from agentrag.journal.purse import TenantPurse, window_end, window_start

NOON = datetime(2027, 2, 28, 12, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86400.0


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "budgets.sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def purse(path: Path, clock: Clock) -> Iterator[TenantPurse]:
    with closing(TenantPurse(path, "acme", TenantBudget(calls=10, passages=50, usd=1.0, per="day"), clock)) as purse:
        yield purse


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        (Spend(calls=10, passages=50, usd=1.0), None),
        (Spend(calls=11), "calls"),
        (Spend(calls=1, passages=51), "passages"),
        (Spend(calls=1, usd=1.01), "usd"),
        (Spend(calls=1, tokens=1e9), None),
    ],
    ids=["all of it", "calls", "passages", "money", "no limit"],
)
def test_an_amount_is_set_aside_whole_or_not_at_all(purse: TenantPurse, asked: Spend, lacking: Unit | None) -> None:
    assert purse.reserve(asked) == lacking
    assert purse.standing().spent == (NOTHING if lacking else asked)


def test_what_is_set_aside_is_taken_until_it_is_settled_and_then_what_it_came_to(purse: TenantPurse) -> None:
    assert purse.reserve(Spend(1, 50, 100)) is None
    assert purse.reserve(Spend(1, 1)) == "passages"
    purse.settle(Spend(1, 50, 100), Spend(1, 20, 130, 0.25))
    assert purse.standing().spent == Spend(1, 20, 130, 0.25)
    assert purse.left() == {"calls": 9, "passages": 30, "usd": 0.75}
    assert purse.reserve(Spend(1, 30)) is None


def test_what_came_to_more_than_was_reckoned_leaves_nothing_and_not_less(purse: TenantPurse) -> None:
    assert purse.reserve(Spend(1, usd=0.9)) is None
    purse.settle(Spend(1, usd=0.9), Spend(1, usd=1.2))
    assert purse.left()["usd"] == 0.0
    assert purse.reserve(Spend(1, usd=0.001)) == "usd"
    assert purse.reserve(Spend(1)) is None  # what costs nothing is no matter of it


def test_with_no_time_left_nothing_may_begin(path: Path, clock: Clock) -> None:
    with closing(TenantPurse(path, "acme", TenantBudget(seconds=10.0, per="ever"), clock)) as purse:
        assert purse.reserve(Spend(1)) is None
        purse.settle(NOTHING, Spend(seconds=10.0))
        assert purse.reserve(Spend(1)) == "seconds"


def test_more_cannot_be_given_back_than_was_set_aside(purse: TenantPurse) -> None:
    assert purse.reserve(Spend(4)) is None
    purse.settle(Spend(9, 9, 9, 9), NOTHING)
    assert purse.standing().spent == NOTHING
    assert purse.reserve(Spend(10)) is None
    assert purse.reserve(Spend(1)) == "calls"


@pytest.mark.parametrize("amount", [Spend(nan), Spend(1, usd=inf)])
def test_an_amount_that_is_not_finite_is_refused_and_changes_nothing(purse: TenantPurse, amount: Spend) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        purse.reserve(amount)
    with pytest.raises(ValueError, match="must be finite"):
        purse.settle(NOTHING, amount)
    assert purse.standing().spent == NOTHING


@pytest.mark.parametrize(
    ("per", "used_up_until", "free_from"),
    [
        ("hour", "2027-02-28T12:59:59", "2027-02-28T13:00:00"),
        ("day", "2027-02-28T23:59:59", "2027-03-01T00:00:00"),
        ("month", "2027-02-28T23:59:59", "2027-03-01T00:00:00"),
        ("ever", "2099-12-31T23:59:59", None),
    ],
)
def test_a_budget_begins_anew_with_its_window(
    path: Path, clock: Clock, per: Per, used_up_until: str, free_from: str | None
) -> None:
    with closing(TenantPurse(path, "acme", TenantBudget(calls=1, per=per), clock)) as purse:
        assert purse.reserve(Spend(1)) is None
        clock.now = datetime.fromisoformat(f"{used_up_until}+00:00").timestamp()
        assert purse.reserve(Spend(1)) == "calls"
        if free_from:
            ends = purse.standing().ends
            assert ends is not None
            clock.now = ends.timestamp()
            assert ends.isoformat() == f"{free_from}+00:00"
            assert purse.reserve(Spend(1)) is None
            assert purse.reserve(Spend(1)) == "calls"


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["hour", "day", "month"]))
def test_windows_follow_each_other_without_a_gap(at: datetime, per: Per) -> None:
    began = window_start(at.replace(tzinfo=UTC), per)
    ends = window_end(began, per)
    assert ends is not None
    assert began <= at.replace(tzinfo=UTC) < ends
    assert window_start(ends, per) == ends


@pytest.mark.parametrize("back", [1.0, HOUR, DAY, 400 * DAY])
def test_a_clock_that_is_put_back_opens_no_used_up_window_again(path: Path, clock: Clock, back: float) -> None:
    for _ in range(2):  # the second time in another process, as it were
        with closing(TenantPurse(path, "acme", TenantBudget(calls=1, per="hour"), clock)) as purse:
            purse.reserve(Spend(1))
            clock.now -= back
            assert purse.reserve(Spend(1)) == "calls"
    clock.now = NOON + HOUR
    with closing(TenantPurse(path, "acme", TenantBudget(calls=1, per="hour"), clock)) as purse:
        assert purse.reserve(Spend(1)) is None


def test_what_was_set_aside_in_one_window_gives_nothing_to_the_next(purse: TenantPurse, clock: Clock) -> None:
    assert purse.reserve(Spend(9, 40)) is None
    clock.now += DAY
    assert purse.reserve(Spend(1, 10)) is None
    purse.settle(Spend(9, 40), Spend(2))
    assert purse.standing().spent == Spend(1, 10)
    assert purse.reserve(Spend(9, 40)) is None
    assert purse.reserve(Spend(1)) == "calls"


def test_what_a_call_came_to_beyond_what_was_set_aside_counts_when_it_is_known(purse: TenantPurse, clock: Clock) -> None:
    assert purse.reserve(Spend(1, tokens=100)) is None
    clock.now += DAY
    purse.settle(Spend(1, tokens=100), Spend(1, tokens=130))
    assert purse.standing().spent == Spend(tokens=30)


def test_tenants_and_windows_are_counted_apart(path: Path, clock: Clock) -> None:
    budgets: list[tuple[str, Per]] = [("acme", "day"), ("acme", "hour"), ("zeta", "day"), ("", "day")]
    for tenant, per in budgets:
        with closing(TenantPurse(path, tenant, TenantBudget(calls=1, per=per), clock)) as purse:
            assert purse.reserve(Spend(1)) is None
            assert purse.reserve(Spend(1)) == "calls"


def test_another_limit_holds_from_the_next_opening_on(path: Path, clock: Clock) -> None:
    for calls, lacking in ((2, None), (2, None), (2, "calls"), (3, None), (1, "calls")):
        with closing(TenantPurse(path, "acme", TenantBudget(calls=calls, per="day"), clock)) as purse:
            assert purse.reserve(Spend(1)) == lacking


def test_what_a_process_had_set_aside_when_it_ended_stays_spent(path: Path, clock: Clock) -> None:
    with closing(TenantPurse(path, "acme", TenantBudget(calls=10, per="day"), clock)) as first:
        first.reserve(Spend(3))
    with closing(TenantPurse(path, "acme", TenantBudget(calls=10, per="day"), clock)) as second:
        second.settle(Spend(3), NOTHING)  # it never set that aside
        assert second.left() == {"calls": 7}


def test_the_file_is_for_its_owner_only(purse: TenantPurse, path: Path) -> None:
    purse.reserve(Spend(1))
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["../x", "A", "a/b", "a\n", "x" * 65, "*", "\N{CYRILLIC SMALL LETTER A}cme"])
def test_a_name_that_no_tenant_can_have_is_refused(path: Path, name: str) -> None:
    with pytest.raises(TenantError):
        TenantPurse(path, name, TenantBudget(calls=1, per="day"))
    assert not path.exists()


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"calls": 1.5}, {"usd": -1.0}, {"per": "week"}, {"minutes": 1}])
def test_a_limit_that_means_nothing_is_refused(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValidationError):
        TenantBudget.model_validate({"per": "day", **wrong})


def test_a_file_that_is_no_database_is_told_of_in_one_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("something else " * 100, encoding="utf-8")
    with pytest.raises(StoreError, match=r"budgets\.sqlite cannot be read or written: file is not a database"):
        TenantPurse(path, "acme", TenantBudget(calls=1, per="day"))


def test_a_settlement_that_cannot_be_written_waits_and_no_call_is_let_through_meanwhile(
    purse: TenantPurse, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert purse.reserve(Spend(5, 10)) is None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(f"{path.name}-wal").stat().st_size, before[1]))
    try:
        with pytest.raises(StoreError):
            purse.reserve(Spend(1))
        purse.settle(Spend(5, 10), Spend(2, 7))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "waits to be written" in caplog.text
    assert purse.standing().spent == Spend(5, 10)
    assert purse.reserve(Spend(1)) is None
    assert purse.standing().spent == Spend(3, 7)


def test_any_order_of_reserving_and_settling_counts_each_unit_once(path: Path, clock: Clock) -> None:
    chance = random.Random(5)
    budget = TenantBudget(calls=40, passages=100, per="day")
    purses = [TenantPurse(path, "acme", budget, clock) for _ in range(3)]
    flying: list[tuple[TenantPurse, Spend]] = []
    spent = NOTHING
    for _ in range(600):
        if flying and chance.random() < 0.5:
            purse, amount = flying.pop(chance.randrange(len(flying)))
            came = Spend(1, chance.randint(0, int(amount.passages)))
            purse.settle(amount, came)
            spent = spent.plus(came)
        else:
            purse, amount = chance.choice(purses), Spend(1, chance.randint(0, 9))
            aside = [one for _, one in flying]
            left = Spend(40, 100).minus(spent).minus(Spend(*map(sum, zip(*aside, strict=True))) if aside else NOTHING)
            fits = left.calls >= amount.calls and left.passages >= amount.passages
            assert (purse.reserve(amount) is None) == fits
            flying += [(purse, amount)] if fits else []
    assert spent.calls <= 40
    assert spent.passages <= 100
    for purse in purses:
        purse.close()


def test_threads_of_one_process_may_share_a_purse(path: Path, clock: Clock) -> None:
    let: list[int] = []
    with closing(TenantPurse(path, "acme", TenantBudget(calls=100, per="day"), clock)) as purse:

        def hammer() -> None:
            for _ in range(30):
                if purse.reserve(Spend(1)) is None:
                    let.append(1)
                    purse.settle(Spend(1), Spend(1))

        threads = [Thread(target=hammer) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(let), purse.left()) == (100, {"calls": 0.0})
