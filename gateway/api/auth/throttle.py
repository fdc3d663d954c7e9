"""How long somebody who failed must wait before the next try: longer with each failure."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

KEYS_MAX = 10_000
FORGET_S = 900.0


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_at: float = 0.0
    allowed_at: float = 0.0


class Throttle:
    """Failures by key. After `free` of them the wait is 1 s and doubles, up to `longest_s`.

    A key without a failure for FORGET_S is forgotten, and so are the oldest above KEYS_MAX.
    """

    def __init__(
        self, free: int, longest_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = free
        self._longest_s = longest_s
        self._now = now
        self._keys: OrderedDict[Hashable, _Failures] = OrderedDict()

    def wait_s(self, key: Hashable) -> float:
        """Return how many seconds the key has to wait; 0 if it may try now."""
        found = self._keys.get(key)
        return 0.0 if found is None else max(0.0, found.allowed_at - self._now())

    def failed(self, key: Hashable) -> int:
        """Count a failure; returns how many there were in a row."""
        now = self._now()
        found = self._keys.get(key)
        if found is None or found.last_at + FORGET_S < now:
            found = self._keys[key] = _Failures()
        self._keys.move_to_end(key)
        found.count += 1
        found.last_at = now
        over = found.count - self._free
        if over >= 0:
            found.allowed_at = now + min(self._longest_s, 2.0 ** min(over, 32))
        while len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)
        return found.count

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures of a key."""
        self._keys.pop(key, None)

    def __len__(self) -> int:
        return len(self._keys)
