"""Limiting puts the limits of other rules on rows of history."""

from collections.abc import Iterable, Sequence
from typing import Any

from scheduler.fleet.usage_ledger import Key, Row
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.limits import Rules, resolve
from scheduler.model.values import replace


class ScenarioLimits:
    """Limits under some rules, worked out once for each place while it stays the same."""

    def __init__(self, rules: Rules) -> None:
        """No row has been seen."""
        self._rules = rules
        self._known: dict[tuple[Any, ...], Host | Datastore] = {}

    def on(self, row: Host | Datastore) -> Host | Datastore:
        """The row with the limits that the rules give it."""
        if isinstance(row, Host):
            about = (row.id, row.cluster, row.rack, row.datacenter, row.cpus, row.memory_mib)
            one = self._known.get(about)
            if one is None:
                one = self._known[about] = resolve(self._rules, [row], []).hosts[0]
            assert isinstance(one, Host)
            return replace(
                row,
                cpu_limit=one.cpu_limit,
                ram_limit_mib=one.ram_limit_mib,
                cpu_rule=one.cpu_rule,
                ram_rule=one.ram_rule,
            )
        tier = row.tier.id if row.tier else None
        of = (row.id, tier, row.datacenter, row.capacity_bytes, "")
        two = self._known.get(of)
        if two is None:
            two = self._known[of] = resolve(self._rules, [], [row]).datastores[0]
        assert isinstance(two, Datastore)
        return replace(row, limit_bytes=two.limit_bytes, rule=two.rule)

    def scopes(
        self, hosts: Sequence[Host], scopes: Iterable[AggregateScope]
    ) -> tuple[AggregateScope, ...]:
        """The aggregated elements; those that no row tells of sum up their hosts."""
        return resolve(self._rules, hosts, [], scopes).scopes

    def rule_set(self, told: Row | None) -> RuleSet:
        """What the rules say besides; who is restricted, and names, are as they were told."""
        row = self._rules.row()
        if not isinstance(told, RuleSet):
            return row
        return replace(
            row, restricted=told.restricted, enterprises=told.enterprises, tiers=told.tiers
        )


def elements(host: Host) -> tuple[Key, ...]:
    """The aggregated elements that a host is part of."""
    found: tuple[Key, ...] = (("rack", host.rack), ("datacenter", host.datacenter))
    return found if host.cluster is None else (("cluster", host.cluster), *found)


def shape(row: Row | None) -> object:
    """What of a host makes the sums of its elements' sizes."""
    if not isinstance(row, Host):
        return None
    return (elements(row), row.cpus, row.memory_mib)
