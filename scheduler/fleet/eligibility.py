"""A kind is the set of hosts that the seldom changing rules let pass for one sort of demand.

The rules are asked once for each profile of hosts, not once a host.
"""

import numpy as np

from scheduler.fleet.host_columns import Bools, HostColumns
from scheduler.model.demand import Demand
from scheduler.model.host_partition import HostPartition, contains
from scheduler.model.inventory import Candidate, RuleSet
from scheduler.rule_registry import SELDOM


class EligibilityMask:
    """Who may take demands of one type, network and enterprise, by slot; `mask` None is all.

    `apart` are the enterprises it shares no host with.
    """

    __slots__ = (
        "_all",
        "_demand",
        "_part",
        "_position",
        "_rules",
        "_share",
        "_version",
        "apart",
        "mask",
        "table",
    )

    def __init__(self, demand: Demand, rules: RuleSet, share: HostPartition | None) -> None:
        """Only the type, network and enterprise of the demand count."""
        self._demand = demand
        self._rules = rules
        self._share = share
        self._version = self._position = -1
        self._part: list[bool] | None = None
        self._all = np.zeros(0, bool)
        self.mask: Bools | None = None
        self.table: list[bool] = []
        owner = demand.enterprise
        self.apart = rules.excluded.get(owner, frozenset()) if owner is not None else frozenset()

    def follow(self, section: HostColumns) -> None:
        """Take in what changed since the last time."""
        if self._version != section.version:
            self._version = section.version
            self._learn(section)
            self._position = -1
        if self.apart:
            self._meet(section)

    def _learn(self, section: HostColumns) -> None:
        self.table = [
            not any(rule(self._demand, Candidate(host, rules=self._rules)) for rule in SELDOM)
            for host in section.profile.hosts
        ]
        self._all = np.array(self.table, bool)[section.profile.array]
        self._part = None
        if self._share is not None:
            self._part = [contains(host, self._share) for host in section.ids]
            self._all &= np.array(self._part, bool)
        self.mask = None if self._all.all() else self._all

    def _meet(self, section: HostColumns) -> None:
        """Leave out the hosts where an enterprise is that it is kept apart from."""
        apart, entries = self.apart, section.entries
        start = self._position - section.log_base
        self._position = section.log_base + len(section.log)
        if start < 0 or self.mask is None:
            alone = [apart.isdisjoint(entry.enterprises) for entry in entries]
            self.mask = self._all & np.array(alone, bool)
            return
        for slot in set(section.log[start:]):
            self.mask[slot] = self._all[slot] and apart.isdisjoint(entries[slot].enterprises)

    def passes(self, section: HostColumns, slot: int) -> bool:
        """Whether the host in the slot is among them."""
        if not self.table[section.profile.values[slot]]:
            return False
        if self.apart and not self.apart.isdisjoint(section.entries[slot].enterprises):
            return False
        return self._part is None or self._part[slot]
