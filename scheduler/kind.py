"""A kind is the set of hosts that the seldom changing rules let pass for one sort of demand.

The rules are asked once for each profile of hosts, not once a host.
"""

import numpy as np

from scheduler.demand import Demand
from scheduler.inventory import Candidate, RuleSet
from scheduler.rulebook import SELDOM
from scheduler.section import Bools, Section
from scheduler.share import Share, part_of


class Kind:
    """Who may take demands of one type, network and enterprise, by slot; `mask` None is all.

    `apart` are the enterprises it shares no host with.
    """

    __slots__ = ("_demand", "_part", "_rules", "_share", "_version", "apart", "mask", "table")

    def __init__(self, demand: Demand, rules: RuleSet, share: Share | None) -> None:
        """Only the type, network and enterprise of the demand count."""
        self._demand = demand
        self._rules = rules
        self._share = share
        self._version = -1
        owner = demand.enterprise
        self.apart = rules.excluded.get(owner, frozenset()) if owner is not None else frozenset()
        self._part: list[bool] | None = None
        self.mask: Bools | None = None
        self.table: list[bool] = []

    def follow(self, section: Section) -> None:
        """Take in what changed since the last time."""
        if self._version == section.version:
            return
        self._version = section.version
        self.table = [
            not any(rule(self._demand, Candidate(host, rules=self._rules)) for rule in SELDOM)
            for host in section.profiles
        ]
        mask = np.array(self.table, bool)[section.profile.array] if self.table else None
        self._part = None
        if self._share is not None:
            part, parts = self._share
            self._part = [part_of(host, parts) == part for host in section.ids]
            own = np.array(self._part, bool)
            mask = own if mask is None else mask & own
        self.mask = None if mask is None or mask.all() else mask

    def passes(self, section: Section, slot: int) -> bool:
        """Whether the host in the slot is among them."""
        if not self.table[section.profile.values[slot]]:
            return False
        return self._part is None or self._part[slot]
