"""What keeps failing is tried again ever more seldom, and told of ever more seldom."""

import random
import time


class Backoff:
    """Failures in a row. Pauses double from `first_s` to `most_s`, spread by jitter.

    A row ends once something has worked for `most_s`.
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._began_s = time.monotonic()
        self.failures = 0

    def begin(self) -> None:
        """A new try begins."""
        self._began_s = time.monotonic()

    def failed(self) -> bool:
        """Count a failure; whether to tell of it: the first, the second, the fourth, and so on."""
        if time.monotonic() - self._began_s >= self._most_s:
            self.failures = 0
        self.failures += 1
        return self.failures & (self.failures - 1) == 0

    def pause_s(self) -> float:
        """How long to wait before the next try: between half and all of the doubled pause."""
        doublings = min(max(self.failures - 1, 0), 32)
        pause_s = min(self._first_s * float(2**doublings), self._most_s)
        return pause_s * random.uniform(0.5, 1.0)
