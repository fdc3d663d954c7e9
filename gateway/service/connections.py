"""The open connections of one listener: how many there may be, for how long, and which go first.

A connection that waits for its client has a deadline. Where there is no room for a new one, the
one that waits longest goes: first those that never sent a request, then those between two requests,
then those whose body has not arrived. A connection that we work for is never closed for another.
"""

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_log = logging.getLogger(__name__)
LOG_EACH_S = 60.0
BODY_GRACE_S = 5.0
"""What a body may be late: the API answers 408 before the connection is cut."""
RESPONSE_STEP_BYTES = 64 * 1024
"""A client must take so much of a response within `response_s`, again and again."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Caps and deadlines of a listener; see `gateway.config.model.ServerSection`."""

    connections_max: int = 2048
    connections_per_address: int = 512
    headers_s: float = 15.0
    body_s: float = 20.0
    idle_s: float = 75.0
    response_s: float = 30.0


class Phase(StrEnum):
    """What a connection waits for."""

    FIRST = "first"
    """The first request's headers, TLS included."""
    HEADERS = "headers"
    """The rest of a later request's headers."""
    IDLE = "idle"
    """The next request."""
    BODY = "body"
    """The rest of a body, while the request is handled."""
    BUSY = "busy"
    """Us."""


class Ended(StrEnum):
    """Why we closed or refused a connection, or answered it ourselves."""

    HEADERS = "headers"
    BODY = "body"
    IDLE = "idle"
    RESPONSE = "response"
    EVICTED = "evicted"
    REFUSED = "refused"
    MALFORMED = "malformed"
    DESCRIPTORS = "descriptors"


_OVERDUE = {
    Phase.FIRST: Ended.HEADERS,
    Phase.HEADERS: Ended.HEADERS,
    Phase.IDLE: Ended.IDLE,
    Phase.BODY: Ended.BODY,
}


class OpenConnection:
    """One connection's place in the table. `abort` closes it at once; `unsent` is what of our
    response the client has not taken."""

    def __init__(self, group: str, since: float) -> None:
        self.group = group
        self.phase = Phase.FIRST
        self.since = since
        self.abort: Callable[[], None] = lambda: None
        self.unsent: Callable[[], int] = lambda: 0
        self.step: tuple[float, int] | None = None


@dataclass(slots=True)
class _Scope:
    """The connections of one address, or all; those that wait, the longest first."""

    count: int = 0
    waiting: dict[Phase, dict[OpenConnection, None]] = field(
        default_factory=lambda: {Phase.FIRST: {}, Phase.IDLE: {}, Phase.BODY: {}}
    )

    def of(self, phase: Phase) -> dict[OpenConnection, None] | None:
        """Those in a phase; None for one in which a connection is not to be closed."""
        return self.waiting.get(Phase.IDLE if phase is Phase.HEADERS else phase)

    def longest(self) -> OpenConnection | None:
        """The one to close for another."""
        return next((one for each in self.waiting.values() for one in each), None)


class ConnectionTable:
    """All connections of a listener; used on the event loop only."""

    def __init__(
        self, name: str, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.limits = limits
        self.ended: Counter[Ended] = Counter()
        self._clock = clock
        self._open: dict[OpenConnection, None] = {}
        self._all = _Scope()
        self._groups: dict[str, _Scope] = {}
        self._logged_at = -LOG_EACH_S
        self._logged: Counter[Ended] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, address: str) -> OpenConnection | None:
        """Return a place for a new connection, closing another if needed; None if all are busy."""
        group = group_of(address)
        own = self._groups.get(group)
        if own is not None and own.count >= self.limits.connections_per_address:
            if not self._evict(own):
                return None
        elif len(self._open) >= self.limits.connections_max and not self._evict(self._all):
            return None
        found = OpenConnection(group, self._clock())
        self._open[found] = None
        for scope in self._scopes(found):
            scope.count += 1
        self._wait(found)
        return found

    def enter(self, one: OpenConnection, phase: Phase) -> None:
        """Record what a connection waits for from now on."""
        if one in self._open:
            self._stop_waiting(one)
            one.phase, one.since = phase, self._clock()
            self._wait(one)

    def release(self, one: OpenConnection) -> None:
        """The connection is gone; may be said twice."""
        if self._open.pop(one, self) is self:
            return
        self._stop_waiting(one)
        for scope in self._scopes(one):
            scope.count -= 1
        if not self._groups[one.group].count:
            del self._groups[one.group]

    def make_room(self) -> bool:
        """Close the connection that waits longest: the computer has no descriptor left."""
        self.ended[Ended.DESCRIPTORS] += 1
        return self._evict(self._all)

    def sweep(self) -> None:
        """Close what is overdue, and log once a minute at most what was closed."""
        now = self._clock()
        for one in list(self._open):
            reason = self._overdue(one, now)
            if reason is not None:
                self._close(one, reason)
        self._log(now)

    def _overdue(self, one: OpenConnection, now: float) -> Ended | None:
        limits = self.limits
        allowed = {
            Phase.FIRST: limits.headers_s,
            Phase.HEADERS: limits.headers_s,
            Phase.IDLE: limits.idle_s,
            Phase.BODY: limits.body_s + BODY_GRACE_S,
        }.get(one.phase)
        if allowed is not None and now - one.since > allowed:
            return _OVERDUE[one.phase]
        unsent = one.unsent()
        if not unsent:
            one.step = None
        elif one.step is None or unsent <= one.step[1] - RESPONSE_STEP_BYTES:
            one.step = (now, unsent)
        elif now - one.step[0] > limits.response_s:
            return Ended.RESPONSE
        return None

    def _evict(self, scope: _Scope) -> bool:
        one = scope.longest()
        if one is None:
            self.ended[Ended.REFUSED] += 1
            return False
        self._close(one, Ended.EVICTED)
        return True

    def _close(self, one: OpenConnection, reason: Ended) -> None:
        self.ended[reason] += 1
        self.release(one)
        one.abort()

    def _scopes(self, one: OpenConnection) -> tuple[_Scope, _Scope]:
        return self._all, self._groups.setdefault(one.group, _Scope())

    def _wait(self, one: OpenConnection) -> None:
        for scope in self._scopes(one):
            waiting = scope.of(one.phase)
            if waiting is not None:
                waiting[one] = None

    def _stop_waiting(self, one: OpenConnection) -> None:
        for scope in self._scopes(one):
            waiting = scope.of(one.phase)
            if waiting is not None:
                waiting.pop(one, None)

    def _log(self, now: float) -> None:
        news = self.ended - self._logged
        del news[Ended.IDLE]
        if news and now - self._logged_at >= LOG_EACH_S:
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(news.items()))
            _log.warning(
                "connections of the %s listener were closed or refused: %s; %d are open",
                self.name,
                counts,
                len(self),
            )
            self._logged, self._logged_at = Counter(self.ended), now


class ConnectionMetrics(Collector):
    """What `/metrics` shows of the listeners' tables."""

    def __init__(self, tables: Iterable[ConnectionTable] = ()) -> None:
        self.tables = list(tables)

    def collect(self) -> Iterable[Metric]:
        """Connections open now, and those closed or refused so far."""
        now = GaugeMetricFamily("vmgate_connections", "Open connections", labels=["listener"])
        ended = CounterMetricFamily(
            "vmgate_connections_ended",
            "Connections that were closed or refused, or sent what is no HTTP",
            labels=["listener", "reason"],
        )
        for table in self.tables:
            now.add_metric([table.name], len(table))
            for reason in Ended:
                ended.add_metric([table.name, str(reason)], table.ended[reason])
        yield now
        yield ended


def group_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
