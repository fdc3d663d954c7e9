"""Counts of log-ins, for /metrics of a process that serves the API."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.auth.refused_logins import LoginCounts, LoginRefusal


@dataclass(frozen=True, slots=True, eq=False)
class LoginMetrics(Collector):
    """This process's counts at the moment they are asked for."""

    counts: LoginCounts

    def collect(self) -> Iterable[Metric]:
        """Refused requests by reason, passwords verified, and entries renewed."""
        refused = CounterMetricFamily(
            "vmgate_logins_refused", "Requests refused for their credentials", labels=["reason"]
        )
        for reason in LoginRefusal:
            refused.add_metric([reason.value], self.counts.refused[reason])
        yield refused
        yield CounterMetricFamily(
            "vmgate_logins_verified", "Passwords verified with argon2", value=self.counts.verified
        )
        yield CounterMetricFamily(
            "vmgate_logins_renewed",
            "Remembered credentials that were renewed before they lapsed",
            value=self.counts.renewed,
        )
