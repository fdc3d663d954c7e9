"""What a subscription may still ask, as the headers of its replies say, kept for all calls.

Azure counts calls in pools, such as UpdateVM in 3 and in 30 minutes, and tells what is left of
those that a call belongs to. Which those are is learned from the replies: the first call of a
kind goes alone. How fast a pool fills is taken from the most that was ever seen left in it.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_RESOURCE = "x-ms-ratelimit-remaining-resource"
_ARM = "x-ms-ratelimit-remaining-subscription-"
_ARM_POOLS = ("reads", "writes", "deletes")
_ARM_WINDOW_S = 3600.0
ASK_S = 60.0
"""A pool that was never seen full may hold more than is known: one call is risked after this."""
_MINUTES = re.compile(r"(\d+)Min$")


@dataclass(slots=True)
class Pool:
    """One count: what is left of it, how much it holds, and the seconds in which it fills."""

    window_s: float
    left: float
    holds: float
    seen_s: float
    under_way: int = 0

    def wait_s(self, now_s: float) -> float:
        """Seconds until there is one left for the taking; 0 for now."""
        rate = max(self.holds, 1.0) / self.window_s
        self.left = min(self.holds, self.left + (now_s - self.seen_s) * rate)
        self.seen_s = now_s
        return min(ASK_S, max(0.0, (1.0 - self.left) / rate))

    def told(self, left: float, now_s: float) -> None:
        """A reply says what is left; other calls under way may not be counted in it yet."""
        self.holds = max(self.holds, left)
        self.left = left - max(0, self.under_way - 1)
        self.seen_s = now_s


@dataclass(slots=True)
class _Kind:
    """What calls of one kind are counted in, once known; and until when nobody may ask."""

    pools: tuple[str, ...] | None = None
    shut_until_s: float = 0.0
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)


class Budget:
    """Used in one loop only. `clock` gives seconds that only grow."""

    def __init__(self, concurrent: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._pools: dict[str, Pool] = {}
        self._places = asyncio.Semaphore(concurrent)

    @asynccontextmanager
    async def turn(self, kind: str) -> AsyncIterator[None]:
        """Wait until a call of that kind may go, and hold its place until it is answered."""
        known = self._kinds.setdefault(kind, _Kind())
        if known.pools is None:
            async with known.alone:
                if known.pools is None:
                    async with self._going(known):
                        yield
                    return
        async with self._going(known):
            yield

    def heard(self, kind: str, headers: Mapping[str, str]) -> None:
        """Learn from a reply."""
        told = counts(headers)
        now_s = self._clock()
        for name, (window_s, left) in told.items():
            pool = self._pools.get(name)
            if pool is None:
                pool = self._pools[name] = Pool(window_s, left, left, now_s)
            pool.told(left, now_s)
        known = self._kinds.setdefault(kind, _Kind())
        known.pools = tuple(told) or known.pools or ()

    def wait_s(self, kind: str) -> float:
        """Seconds until a call of that kind may go, as far as is known."""
        return self._left_s(self._kinds.setdefault(kind, _Kind()))

    def shut(self, kind: str, for_s: float) -> None:
        """Nobody asks anything of the kind for so long."""
        known = self._kinds.setdefault(kind, _Kind())
        known.shut_until_s = max(known.shut_until_s, self._clock() + for_s)

    @asynccontextmanager
    async def _going(self, known: _Kind) -> AsyncIterator[None]:
        while True:
            wait_s = self._left_s(known)
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)
        pools = [self._pools[name] for name in known.pools or ()]
        for pool in pools:
            pool.left -= 1
            pool.under_way += 1
        try:
            async with self._places:
                yield
        finally:
            for pool in pools:
                pool.under_way -= 1

    def _left_s(self, known: _Kind) -> float:
        now_s = self._clock()
        waits = [self._pools[name].wait_s(now_s) for name in known.pools or ()]
        return max([known.shut_until_s - now_s, *waits])


def counts(headers: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """By pool: the seconds of its window, and what is left of it."""
    found: dict[str, tuple[float, float]] = {}
    for each in (headers.get(_RESOURCE) or "").split(","):
        name, _, left = each.strip().partition(";")
        minutes = _MINUTES.search(name)
        if minutes is not None and _is_count(left.strip()):
            found[name] = (60.0 * int(minutes[1]), float(left))
    for name in _ARM_POOLS:
        left = headers.get(_ARM + name) or ""
        if _is_count(left):
            found[_ARM + name] = (_ARM_WINDOW_S, float(left))
    return found


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9
