"""What a subscription may ask in 3 and in 30 minutes, told in headers; beyond it, 429.

A bucket refills evenly. How Compute words its 429 is known from its documentation only.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lab.azure.replies import Reply

_WINDOWS_S = {"3Min": 180.0, "30Min": 1800.0}
# As recorded in 2020 and 2021; the documentation's later figures differ, so read the headers.
_ALLOWED = {
    "PutVM": (750, 3750),
    "UpdateVM": (240, 1200),
    "DeleteVM": (240, 1200),
    "LowCostGet": (4000, 32000),
    "HighCostGet": (140, 700),
    "GetOperation": (15000, 30000),
    "GetSubscriptionInfo": (360, None),
    "PutDeleteDedicatedHost": (120, 600),
    "GetDedicatedHost": (250, 1000),
}
_ARM = {"writes": 1200, "deletes": 15000, "reads": 12000}


@dataclass(slots=True)
class _Bucket:
    allowed: float
    window_s: float
    left: float
    seen_s: float

    def refill(self, now_s: float) -> None:
        gained = (now_s - self.seen_s) * self.allowed / self.window_s
        self.left = min(self.allowed, self.left + gained)
        self.seen_s = now_s

    def wait_s(self) -> int:
        """Until there is one again."""
        return max(1, math.ceil((1 - self.left) * self.window_s / self.allowed))


@dataclass(slots=True)
class Limits:
    """The subscription's buckets; `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    refused: int = 0
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, (short, long) in _ALLOWED.items():
            self.allow(group, short, long)
        for group, allowed in _ARM.items():
            self._buckets[group] = _Bucket(allowed, 3600.0, allowed, self.clock())

    def allow(self, group: str, short: int, long: int | None = None) -> None:
        """Sets what a group such as UpdateVM may in 3 minutes, and in 30; full at once."""
        for window, allowed in (("3Min", short), ("30Min", long)):
            self._buckets.pop(group + window, None)
            if allowed is not None:
                bucket = _Bucket(allowed, _WINDOWS_S[window], allowed, self.clock())
                self._buckets[group + window] = bucket

    def refill(self) -> None:
        """As after a long silence."""
        for bucket in self._buckets.values():
            bucket.left = bucket.allowed

    def charge(self, group: str) -> Reply | None:
        """Takes one of a group's; the refusal when there is none left."""
        now_s = self.clock()
        names = [group + window for window in _WINDOWS_S if group + window in self._buckets]
        for name in names:
            self._buckets[name].refill(now_s)
            if self._buckets[name].left < 1:
                self.refused += 1
                return self._refusal(name, group)
        for name in names:
            self._buckets[name].left -= 1
        return None

    def told(self, group: str) -> dict[str, str]:
        """The header that says what is left of a group; none for a group without limits."""
        left = [
            f"Microsoft.Compute/{group}{window};{int(self._buckets[group + window].left)}"
            for window in _WINDOWS_S
            if group + window in self._buckets
        ]
        return {"x-ms-ratelimit-remaining-resource": ",".join(left)} if left else {}

    def told_by_arm(self, method: str) -> dict[str, str]:
        """Charges and tells ARM's own count of writes or deletes; reads are not told."""
        if method == "GET":
            return {}
        group = "deletes" if method == "DELETE" else "writes"
        bucket = self._buckets[group]
        bucket.refill(self.clock())
        bucket.left = max(0.0, bucket.left - 1)
        return {f"x-ms-ratelimit-remaining-subscription-{group}": str(int(bucket.left))}

    def _refusal(self, name: str, group: str) -> Reply:
        bucket = self._buckets[name]
        measured = {"operationGroup": name, "allowedRequestCount": int(bucket.allowed)}
        body = {
            "code": "OperationNotAllowed",
            "message": "The server rejected the request because too many requests have been "
            "received for this subscription.",
            "details": [
                {"code": "TooManyRequests", "target": name, "message": json.dumps(measured)}
            ],
        }
        return Reply(429, body, {"Retry-After": str(bucket.wait_s()), **self.told(group)})
