"""What a subscription may ask in 3 and in 30 minutes, told in headers; beyond it, 429.

A bucket refills evenly. How Compute and ARM word a 429 is known from documentation only. ARM's own
counts of writes and deletes are told too; they refuse nothing until `allow_by_arm` is called.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lab.azure.replies import Reply, arm_fault

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
_ARM = {"writes": 1200, "deletes": 15000}


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
    strict: bool = False
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

    def allow_by_arm(self, group: str, size: int, per_s: float) -> None:
        """Sets ARM's bucket of "writes" or "deletes", full at once; ARM refuses from now on."""
        self.strict = True
        self._buckets[group] = _Bucket(size, size / per_s, size, self.clock())

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

    def charge_by_arm(self, method: str) -> tuple[dict[str, str], Reply | None]:
        """The header that tells ARM's count, and its refusal if there is one; reads are free."""
        if method == "GET":
            return {}, None
        group = "deletes" if method == "DELETE" else "writes"
        bucket = self._buckets[group]
        bucket.refill(self.clock())
        refused = None
        if self.strict and bucket.left < 1:
            self.refused += 1
            message = f"Number of '{group}' requests for the subscription exceeded."
            refused = arm_fault(429, "SubscriptionRequestsThrottled", message).reply
            refused.headers["Retry-After"] = str(bucket.wait_s())
        bucket.left = max(0.0, bucket.left - (refused is None))
        told = {f"x-ms-ratelimit-remaining-subscription-{group}": str(int(bucket.left))}
        return told, refused

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
