"""A scene is a demand with the places around it: small, and changed by making another one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import Key, Row
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import NO_RULES, AggregateScope, Candidate, Datastore, Host, RuleSet
from scheduler.model.limits import LoadRule
from scheduler.model.placement import Placement, Refusal
from scheduler.snapshot.snapshot import SnapshotHold, SnapshotVm

Occupant = SnapshotVm | SnapshotHold


@dataclass(frozen=True, slots=True)
class Total:
    """What all hosts of an element have together: physical CPUs and MiB."""

    kind: str
    id: int
    cpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class AdviceContext:
    """What is known beyond the rows.

    `reach` is how far relocations may go, `widens` whether somebody can let them go further.
    `fixed` is for a VM that grows where it is: no other host is of use to it.
    """

    loads: tuple[LoadRule, ...] = ()
    totals: tuple[Total, ...] = ()
    residents: tuple[SnapshotVm, ...] = ()
    holds: tuple[SnapshotHold, ...] = ()
    reach: RelocationScope = RelocationScope.RACK
    fixed: bool = False
    widens: bool = True


@dataclass(frozen=True, slots=True)
class LocalInventory:
    """The demand, and whole rows: each host here with all that it sees and belongs to."""

    demand: Demand
    policy: FitPolicy
    hosts: Mapping[int, Host]
    datastores: Mapping[int, Datastore]
    scopes: Mapping[Key, AggregateScope]
    rules: RuleSet = NO_RULES
    around: AdviceContext = AdviceContext()

    def candidate(self, host: Host) -> Candidate:
        """A host as the rules see it."""
        seen = [self.datastores[each] for each in host.datastores if each in self.datastores]
        scopes = {scope.kind: scope for scope in self.scopes_of(host)}
        return Candidate(
            host,
            tuple(seen),
            scopes.get("rack"),
            scopes.get("datacenter"),
            scopes.get("cluster"),
            self.rules,
        )

    def scopes_of(self, host: Host) -> Iterator[AggregateScope]:
        """The aggregated elements that the host belongs to."""
        for key in elements(host):
            if key in self.scopes:
                yield self.scopes[key]

    def fleet(self, hosts: Iterable[int]) -> Fleet:
        """A fleet of these hosts alone: where it places, one of all hosts would place too."""
        known = Fleet()
        rows: dict[tuple[str, int], Row] = {}
        for id in hosts:
            at = self.candidate(self.hosts[id])
            rows["host", id] = at.host
            rows |= {("datastore", each.id): each for each in at.datastores}
            rows |= {(each.kind, each.id): each for each in self.scopes_of(at.host)}
        for row in (*rows.values(), self.rules):
            known.apply(row)
        return known

    def place(self, host: int) -> Placement | Refusal:
        """What the scheduler answers to the demand at one host."""
        return self.fleet([host]).place(self.demand, self.policy)

    def total(self, kind: str, id: int) -> Total | None:
        """What is known of an element as a whole."""
        return next((e for e in self.around.totals if (e.kind, e.id) == (kind, id)), None)

    def occupants(self, host: int) -> list[Occupant]:
        """The VMs and holds on a host."""
        everyone: tuple[Occupant, ...] = (*self.around.residents, *self.around.holds)
        return [each for each in everyone if each.host == host]


def elements(host: Host) -> list[Key]:
    """The keys of what may have a sum that the host is part of."""
    found: list[Key] = [("rack", host.rack), ("datacenter", host.datacenter)]
    return found if host.cluster is None else [("cluster", host.cluster), *found]
