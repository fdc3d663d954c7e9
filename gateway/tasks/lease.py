"""A lease tells a worker, by a clock that counts suspended time too, how long it may act."""

import sys
import time

from drivers.contract import LeaseLost

if sys.platform == "linux":

    def now_s() -> float:
        """Seconds that go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:

    def now_s() -> float:
        """Seconds of the steady clock, the best there is here."""
        return time.monotonic()


class Lease:
    """The right to work on one task under one epoch.

    `check` may be called from any thread. The end counts from before the renewal was sent, so
    that it is never later than what the store wrote.
    """

    def __init__(self, sent_at_s: float, lease_s: float, margin_s: float) -> None:
        self._margin_s = margin_s
        self._lost = False
        self._end_s = sent_at_s + lease_s

    def renewed(self, sent_at_s: float, lease_s: float) -> None:
        """The store confirmed a renewal that was sent at `sent_at_s`."""
        self._end_s = max(self._end_s, sent_at_s + lease_s)

    def lose(self) -> None:
        """Someone else holds the task now."""
        self._lost = True

    @property
    def lost(self) -> bool:
        """Whether the store said that the task is not ours any more."""
        return self._lost

    def check(self) -> None:
        """Raise LeaseLost unless the lease holds for at least the margin."""
        if self._lost or now_s() >= self._end_s - self._margin_s:
            raise LeaseLost("the lease has run out")
