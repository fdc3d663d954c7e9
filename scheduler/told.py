"""What history told: the rows at each decision, and the same rows under other rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.ahead import Ahead, lay_over
from scheduler.divergence import NOTHING, Sums, plus
from scheduler.inventory import Datastore, Host, RuleSet, Scope
from scheduler.ledger import Key, Row
from scheduler.limits import Rules, resolve
from scheduler.replay import Picture

Changes = Mapping[Key, Row | None]
"""Rows that are otherwise than before; None for one that is gone."""


class Told:
    """The rows as the feed told them, with those that were ahead of it at the last decision.

    `use` is all that is promised: virtual CPUs and MiB of the hosts, bytes of the datastores.
    """

    def __init__(self, picture: Picture) -> None:
        """All rows are news at first."""
        self._picture = picture
        self._news = set(picture.rows)
        self._over: set[Key] = set()
        self.use = NOTHING
        for row in picture.rows.values():
            self.use = plus(self.use, _use(row), 1)

    def row(self, key: Key) -> Row | None:
        """A row as the feed told it."""
        return self._picture.rows.get(key)

    def hear(self, key: Key, payload: Mapping[str, Any]) -> None:
        """Take in the next change of the feed."""
        before = _use(self.row(key))
        self._picture.hear(key, payload)
        self.use = plus(plus(self.use, before, -1), _use(self.row(key)), 1)
        self._news.add(key)

    def at(self, ahead: Sequence[Ahead]) -> Changes:
        """What changed since the last call, with these rows ahead; ValueError where the log
        lacks one."""
        keys = [(kind, id) for kind, id, _ in ahead]
        below = {key: row for key in keys if (row := self.row(key)) is not None}
        over = lay_over(below, ahead)
        changed = self._news | self._over | set(keys)
        self._news = set()
        self._over = set(keys)
        return {key: over.get(key) if key in self._over else self.row(key) for key in changed}


def _use(row: Row | None) -> Sums:
    match row:
        case Host():
            return (row.cpu_used, row.ram_used_mib, 0)
        case Datastore():
            return (0, 0, row.used_bytes)
        case _:
            return NOTHING


class Limiting:
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

    def scopes(self, hosts: Sequence[Host], scopes: Iterable[Scope]) -> tuple[Scope, ...]:
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
