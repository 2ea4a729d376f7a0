"""What tenants have spent over all of their runs: counted exactly, by any number of processes, in one SQLite file.

The file stands beside the journal and not in it: journals are exported, pruned and replaced, and what was spent must outlive
that; nor does a call then wait while another one's answer is written.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from threading import RLock
from time import time

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from agentrag.core.budget import NOTHING, UNITS, Spend, Unit
from agentrag.core.errors import StoreError
from agentrag.core.settings import Settings
from agentrag.core.tenant import EVERY, Per, TenantBudget, checked_tenant

FILE = "budgets.sqlite"
"""Its name in the settings' home."""
BUSY_SECONDS = 30.0
_LOG = logging.getLogger(__name__)
_CREATE = f"""CREATE TABLE IF NOT EXISTS spent (
    tenant TEXT NOT NULL, per TEXT NOT NULL, began INTEGER NOT NULL, {", ".join(f"{unit} REAL NOT NULL" for unit in UNITS)},
    PRIMARY KEY (tenant, per, began)) WITHOUT ROWID"""
_LATEST = f"SELECT began, {', '.join(UNITS)} FROM spent WHERE tenant = ? AND per = ? ORDER BY began DESC LIMIT 1"
_ADD = f"""INSERT INTO spent VALUES ({", ".join("?" * (3 + len(UNITS)))})
           ON CONFLICT DO UPDATE SET {", ".join(f"{unit} = {unit} + excluded.{unit}" for unit in UNITS)}"""
_TINY = 1e-9
"""Less than this of money or time is what sums of fractions leave."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tenant has spent in the present window.

    Attributes:
        tenant: Whose budget it is.
        budget: The limits.
        began, ends: The window, UTC; `ends` is None where it lasts for ever.
        spent: What was spent, with what is set aside for calls in flight and was for those that a kill cut short.
    """

    tenant: str
    budget: TenantBudget
    began: datetime
    ends: datetime | None
    spent: Spend

    @property
    def left(self) -> dict[Unit, float]:
        """What is left of each unit that is limited; never below 0."""
        return {unit: max(0.0, most - getattr(self.spent, unit)) for unit, most in self.budget.given()}


class TenantPurse:
    """Keeps the runs of a tenant to a budget that outlives them; a `Purse` that several threads and processes may share.

    What is set aside counts as spent until it is settled, so whatever kills a process leaves too much counted, never too
    little. A window begins with its hour, day or month in UTC; a clock that is put back opens no earlier window again.

    Args:
        path: The file; made with its folders where it is not there, readable by its owner only.
        tenant: Whose budget it is, "" for the runs of no tenant.
        budget: The limits. A unit without one is counted all the same.
        clock: Gives the time in seconds since 1970, UTC.

    Raises:
        TenantError: The name cannot be that of a tenant.
        StoreError: From every method but `settle`: the file cannot be read or written.
    """

    def __init__(self, path: Path, tenant: str, budget: TenantBudget, clock: Callable[[], float] = time) -> None:
        self.path, self.tenant, self.budget = path, checked_tenant(tenant), budget
        self._clock = clock
        self._lock = RLock()
        self._aside: dict[int, Spend] = {}
        """What this object set aside and did not settle, by the window that it is of."""
        self._owed: dict[int, Spend] = {}
        """Changes that could not be written."""
        with _faults(path):
            self._database = _connected(path)

    def reserve(self, amount: Spend) -> Unit | None:
        """Set `amount` aside; see `agentrag.core.budget.Purse`. Cost: one commit, about 50 microseconds.

        Raises:
            ValueError: A number of it is not finite.
        """
        asked = _whole(amount)
        with self._lock:
            with self._writing() as database:
                window, spent = self._present(database)
                lacking = self._lacking(asked, spent)
                if lacking is None:
                    self._add(database, window, asked)
            if lacking is None:
                self._aside[window] = self._aside.get(window, NOTHING).plus(asked)
        return lacking

    def settle(self, reserved: Spend, spent: Spend) -> None:
        """Give back what was set aside and take what it came to, in the window in which it was set aside.

        What cannot be written now is written with the next change: the call that it is of was made and must not fail of it.

        Raises:
            ValueError: A number is not finite.
        """
        back, paid = _whole(reserved), _whole(spent)
        with self._lock:
            for window, change in self._changes(back, paid):
                self._owed[window] = self._owed.get(window, NOTHING).plus(change)
            try:
                with self._writing():
                    pass
            except StoreError as error:
                _LOG.warning("What tenant '%s' spent waits to be written: %s", self.tenant, error)

    def left(self) -> dict[Unit, float]:
        """What is left in the present window of each unit that is limited."""
        return self.standing().left

    def standing(self) -> Standing:
        """What was spent in the present window, by all processes."""
        with self._lock, _faults(self.path):
            window, spent = self._present(self._database)
        return _standing(self.tenant, self.budget, datetime.fromtimestamp(window, UTC), spent)

    def close(self) -> None:
        """Write what waits and close the file; what is set aside stays spent. Calling it twice is allowed."""
        with self._lock:
            if self._owed:
                self.settle(NOTHING, NOTHING)
            self._database.close()

    def _lacking(self, asked: Spend, spent: Spend) -> Unit | None:
        for unit, most in self.budget.given():
            left, need = most - getattr(spent, unit), getattr(asked, unit)
            # with no time left nothing may begin, and what asks nothing of a unit is no matter of it
            if left < need > 0.0 or (unit == "seconds" and left <= 0.0):
                return unit
        return None

    def _present(self, database: sqlite3.Connection) -> tuple[int, Spend]:
        """The window that counts now, as when it began, and what was spent in it."""
        now = int(window_start(datetime.fromtimestamp(self._clock(), UTC), self.budget.per).timestamp())
        row = database.execute(_LATEST, (self.tenant, self.budget.per)).fetchone()
        return (row[0], Spend(*row[1:])) if row and row[0] >= now else (now, NOTHING)

    def _add(self, database: sqlite3.Connection, window: int, change: Spend) -> None:
        database.execute(_ADD, (self.tenant, self.budget.per, window, *change))

    def _changes(self, reserved: Spend, spent: Spend) -> Iterator[tuple[int, Spend]]:
        """How windows change by a settlement: what was set aside first is taken for it, never more than was set aside."""
        for window, aside in sorted(self._aside.items()):
            back = reserved.at_most(aside)
            paid = spent.at_most(back)
            reserved, spent = reserved.minus(back), spent.minus(paid)
            self._aside[window] = aside.minus(back)
            if max(self._aside[window]) < _TINY:
                del self._aside[window]
            yield window, paid.minus(back)
        yield _NOW, spent  # more than was reckoned, or time, which nobody sets aside

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, with what waits to be written in it."""
        database = self._database
        with self._lock, _faults(self.path):
            try:
                database.execute("BEGIN IMMEDIATE")
                present = self._present(database)[0] if _NOW in self._owed else _NOW
                for window, change in self._owed.items():
                    self._add(database, present if window == _NOW else window, change)
                yield database
                database.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back on a full disk
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            self._owed.clear()


_NOW = -1
"""Stands for the window that counts when a change is written."""


def standings(settings: Settings) -> list[Standing]:
    """How the tenant of the settings stands; where they name none, how all stand that have a budget, by name.

    Raises:
        StoreError: The file cannot be read.
    """
    path = settings.home / FILE
    names = {settings.tenant} if settings.tenant else {*settings.tenants, *_tenants_in(path)} - {EVERY}
    budgets = {name: settings.of_tenant(name).budget for name in sorted(names)}
    return [_standing_in(path, name, budget) for name, budget in budgets.items() if budget is not None]


def _tenants_in(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with _faults(path), closing(_connected(path)) as database:
        return [name for (name,) in database.execute("SELECT DISTINCT tenant FROM spent")]


def _standing_in(path: Path, tenant: str, budget: TenantBudget) -> Standing:
    if not path.is_file():  # who only looks makes no file
        return _standing(tenant, budget, window_start(datetime.now(UTC), budget.per), NOTHING)
    with closing(TenantPurse(path, tenant, budget)) as purse:
        return purse.standing()


def _standing(tenant: str, budget: TenantBudget, began: datetime, spent: Spend) -> Standing:
    return Standing(tenant, budget, began, window_end(began, budget.per), _whole(spent))


def window_start(at: datetime, per: Per) -> datetime:
    """When the window that `at` is in began.

    >>> window_start(datetime(2026, 11, 25, 13, 30, tzinfo=UTC), "day").isoformat()
    '2026-11-25T00:00:00+00:00'
    """
    if per == "ever":
        return datetime.fromtimestamp(0, UTC)
    hour = at.replace(minute=0, second=0, microsecond=0)
    if per == "hour":
        return hour
    return hour.replace(hour=0) if per == "day" else hour.replace(hour=0, day=1)


def window_end(began: datetime, per: Per) -> datetime | None:
    """When the next window begins; None where there is none."""
    if per == "ever":
        return None
    if per == "month":
        return (began + timedelta(days=32)).replace(day=1)
    return began + (timedelta(hours=1) if per == "hour" else timedelta(days=1))


def _whole(amount: Spend) -> Spend:
    """The amount without what is below zero, as differences of fractions can be by next to nothing."""
    if not all(map(isfinite, amount)):
        raise ValueError(f"an amount must be finite: {amount}")
    return Spend(*[max(0.0, part) for part in amount])


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        told = " ".join(str(error).split())
        raise StoreError(f"The budgets of tenants in {path} cannot be read or written: {told}") from error


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(connection)
        # NORMAL survives any kill of the process; a power cut may take back the last seconds
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_CREATE)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for others while it changes this mode
    patience = Retrying(
        retry=retry_if_exception(lambda error: "locked" in str(error)),
        wait=wait_fixed(0.02),
        stop=stop_after_delay(BUSY_SECONDS),
        reraise=True,
    )
    patience(connection.execute, "PRAGMA journal_mode = WAL")
