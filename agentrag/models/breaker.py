"""Circuit breakers: an endpoint that keeps failing is left alone for a while, and then tried by one call.

Own code, because no library has all three that it takes here: one probe at a time, a cool-down that the server can prolong,
and a clock that never jumps (docs/faults.md says which were looked at).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from agentrag.core.errors import ModelError

FAULTS = 5
COOL_DOWN = 30.0
LONGEST_REST = 3600.0
"""Seconds that a server can ask of a breaker: what it says must not rest an endpoint for ever."""
_PROBING = 1.0  # seconds: what a call is told to wait while another one tries the endpoint
_log = logging.getLogger("agentrag.models")


class Breaker:
    """Opens after `faults` passing faults in a row; after the cool-down one call probes, and its end closes it or not.

    A fault is a ModelError that may pass: overload, a server error, silence, a broken connection. A refusal such as 401 is
    none, for the endpoint answers.
    Calls that were in flight together fail together: their faults count as one. It belongs to one event loop: nothing here
    awaits, so that no call comes in between.

    Args:
        endpoint: What messages call it.
        faults: In a row, >= 1.
        seconds: Cool-down, > 0; where the server asks for another time, that holds instead, up to an hour.
        now: The clock, in seconds.

    >>> breaker = Breaker("host:80", faults=1)
    >>> try:
    ...     with breaker.call():
    ...         raise ModelError("overloaded", retryable=True)
    ... except ModelError:
    ...     round(breaker.rest)
    30
    """

    def __init__(
        self, endpoint: str, faults: int = FAULTS, seconds: float = COOL_DOWN, now: Callable[[], float] = monotonic
    ) -> None:
        self._endpoint, self._most, self._seconds, self._now = endpoint, faults, seconds, now
        self._faults = self._waves = 0
        self._last = ""
        self._until: float | None = None
        self._probing = False

    @property
    def rest(self) -> float:
        """Seconds for which calls fail at once; 0.0 where the next one may go."""
        if self._until is None:
            return 0.0
        left = self._until - self._now()
        if left > 0.0:
            return left
        return min(_PROBING, self._seconds) if self._probing else 0.0

    def refuse(self) -> None:
        """Raise the ModelError of an open circuit, where it is open: who would wait for a turn first can be told at once."""
        if rest := self.rest:
            raise ModelError(
                f"{self._endpoint} is left alone for {rest:.2g} s more after {self._faults} faults in a row ({self._last})",
                retryable=True,
                retry_after=rest,
            )

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count how the exchange in this block ends; a block that is cancelled says nothing.

        Raises:
            ModelError: The circuit is open; the block has not begun.
        """
        probe, wave = self._enter(), self._waves
        try:
            yield
        except ModelError as error:
            if error.retryable:
                self._failed(error, probe, wave)
            else:
                self._answered()
            raise
        else:
            self._answered()
        finally:
            if probe:
                self._probing = False

    def _enter(self) -> bool:
        """Whether this call is the probe."""
        if self._until is None:
            return False
        self.refuse()
        _log.info("%s: half-open, one call tries it", self._endpoint)
        self._probing = True
        return True

    def _answered(self) -> None:
        if self._until is not None:
            _log.info("%s: closed, it answers again", self._endpoint)
        self._faults, self._until = 0, None

    def _failed(self, error: ModelError, probe: bool, wave: int) -> None:
        """A fault of a call that began before the last one that counted, or before the circuit opened, changes nothing."""
        if wave != self._waves or (self._until is not None and not probe):
            return
        self._faults += 1
        self._waves += 1
        if probe or self._faults >= self._most:
            seconds = min(error.retry_after or self._seconds, LONGEST_REST)
            self._until, self._last = self._now() + seconds, str(error)
            _log.warning("%s: open for %.3g s after %d faults in a row: %s", self._endpoint, seconds, self._faults, error)
