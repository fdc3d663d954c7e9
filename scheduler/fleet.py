"""The fleet is the live inventory: it answers each demand after trying every host.

It proposes; the store's ledger decides. It belongs to one thread and awaits nothing, so that
each answer is about one moment.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from scheduler.bookings import disk_added, holds_host, holds_scope
from scheduler.demand import Demand
from scheduler.disks import choose
from scheduler.inventory import NO_RULES, Candidate, Datastore, Gone, Host, RuleSet, Scope
from scheduler.ledger import RULES, Key, Ledger, key_of
from scheduler.placement import HostVerdict, Placement, Refusal, Seen
from scheduler.policy import SCORES, FitPolicy
from scheduler.ranking import Ranking
from scheduler.reason import Lack, Reason
from scheduler.rulebook import first_lack, objections

Listed = tuple[Host, Datastore | None, tuple[Reason, ...]]


class Fleet:
    """Hosts, datastores and aggregated elements, and what is promised of them."""

    def __init__(self) -> None:
        """A fleet that knows of nothing yet; `apply` tells it."""
        self._ledger = Ledger()
        self._hosts: dict[int, Host] = {}
        self._rankings: dict[tuple[int, FitPolicy], Ranking] = defaultdict(Ranking)
        # Which hosts look at a datastore, rack or datacenter, and what each host sees in all:
        # built on demand and dropped when any of it changes.
        self._lookers: dict[Key, set[int]] = defaultdict(set)
        self._candidates: dict[int, Candidate] = {}

    def apply(self, change: Host | Datastore | Scope | RuleSet | Gone) -> bool:
        """Takes the absolute values of a row; False when a newer or the same one is known."""
        accepted = self._ledger.apply(change)
        if accepted:
            self._changed(key_of(change))
        return accepted

    def place(self, demand: Demand, policy: FitPolicy) -> Placement | Refusal:
        """The gladdest host that will do, or every reason why none does.

        Only hosts of the demand's datacenter are tried, and those that it names.
        """
        rejected: Counter[Lack] = Counter()
        for host in self._rankings[demand.datacenter, policy]:
            at = self._candidate(host)
            lack = first_lack(demand, at)
            if lack is not None:
                rejected[lack] += 1
                continue
            datastore = choose(demand, at)
            if datastore is not None:
                return _placement(demand, at, datastore, policy, rejected)
        return Refusal(tuple(self._verdicts(demand)), demand)

    def candidates(self, demand: Demand, policy: FitPolicy) -> tuple[Listed, ...]:
        """Every host with its datastore or its reasons: those that will do first, gladdest first.

        The first one is what `place` would choose.
        """
        listed: list[Listed] = []
        for host in (*self._rankings[demand.datacenter, policy], *self._strangers(demand)):
            at = self._candidate(host)
            listed.append((at.host, choose(demand, at), objections(demand, at)))
        listed.sort(key=lambda each: bool(each[2]))
        return tuple(listed)

    def claim(self, placement: Placement, demand: Demand) -> None:
        """Counts the placement in until the store tells newer numbers of its rows."""
        for seen in placement.seen:
            self._ledger.promise((demand.vm, placement.host), seen)
            self._changed((seen.kind, seen.id))

    def release(self, placement: Placement, demand: Demand) -> None:
        """Takes a claim back where it still counts; claiming or releasing twice is once."""
        for seen in placement.seen:
            self._ledger.withdraw((demand.vm, placement.host), (seen.kind, seen.id))
            self._changed((seen.kind, seen.id))

    def hosts(self) -> tuple[Host, ...]:
        """All hosts by id, claims counted in."""
        return tuple(self._hosts[host] for host in sorted(self._hosts))

    def host(self, id: int) -> Host | None:
        """One host, claims counted in."""
        return self._hosts.get(id)

    def datastore(self, id: int) -> Datastore | None:
        """One datastore, claims counted in."""
        row = self._ledger.row(("datastore", id))
        return row if isinstance(row, Datastore) else None

    def scope(self, kind: str, id: int) -> Scope | None:
        """One aggregated element ("cluster", "rack" or "datacenter"), claims counted in."""
        row = self._ledger.row((kind, id))
        return row if isinstance(row, Scope) else None

    @property
    def rules(self) -> RuleSet:
        """What the active rules say beyond the limits of the rows."""
        row = self._ledger.row(RULES)
        return row if isinstance(row, RuleSet) else NO_RULES

    def _changed(self, key: Key) -> None:
        kind, id = key
        if key == RULES:
            self._candidates.clear()
            return
        if kind != "host":
            for looker in self._lookers.get(key, ()):
                self._candidates.pop(looker, None)
            return
        self._forget(id)
        row = self._ledger.row(key)
        if isinstance(row, Host):
            self._learn(row)

    def _forget(self, id: int) -> None:
        self._candidates.pop(id, None)
        host = self._hosts.pop(id, None)
        if host is None:
            return
        for key in _looks_at(host):
            self._lookers[key].discard(id)
        for policy in FitPolicy:
            self._rankings[host.datacenter, policy].drop(id)

    def _learn(self, host: Host) -> None:
        self._hosts[host.id] = host
        for key in _looks_at(host):
            self._lookers[key].add(host.id)
        for policy, score in SCORES.items():
            self._rankings[host.datacenter, policy].put(host.id, score(host))

    def _candidate(self, id: int) -> Candidate:
        known = self._candidates.get(id)
        if known is not None:
            return known
        host = self._hosts[id]
        seen = (self.datastore(each) for each in host.datastores)
        made = Candidate(
            host,
            tuple(datastore for datastore in seen if datastore is not None),
            self.scope("rack", host.rack),
            self.scope("datacenter", host.datacenter),
            None if host.cluster is None else self.scope("cluster", host.cluster),
            self.rules,
        )
        self._candidates[id] = made
        return made

    def _strangers(self, demand: Demand) -> list[int]:
        """Hosts the demand names although they are in another datacenter: told, never taken."""
        named = demand.only or frozenset()
        return [
            host
            for host in sorted(named)
            if host in self._hosts and self._hosts[host].datacenter != demand.datacenter
        ]

    def _verdicts(self, demand: Demand) -> Iterable[HostVerdict]:
        local = self._rankings[demand.datacenter, FitPolicy.PROGRESSIVE]
        for host in sorted((*local, *self._strangers(demand))):
            at = self._candidate(host)
            yield HostVerdict(host, at.host.name, objections(demand, at), at.datastores)


def _looks_at(host: Host) -> list[Key]:
    places: list[Key] = [("datastore", each) for each in host.datastores]
    if host.cluster is not None:
        places.append(("cluster", host.cluster))
    return [*places, ("rack", host.rack), ("datacenter", host.datacenter)]


def _placement(
    demand: Demand,
    at: Candidate,
    datastore: Datastore,
    policy: FitPolicy,
    rejected: Counter[Lack],
) -> Placement:
    return Placement(
        at.host.id,
        datastore.id,
        _seen(demand, at, datastore),
        policy,
        SCORES[policy](at.host),
        tuple(sorted(rejected.items())),
    )


def _seen(demand: Demand, at: Candidate, datastore: Datastore) -> tuple[Seen, ...]:
    """Every ledger row that a claim touches, also where it adds nothing, in locking order."""
    host = at.host
    cpu, ram_mib = (0, 0) if holds_host(demand, host) else (demand.cpu, demand.ram_mib)
    disk_bytes = disk_added(demand, host, datastore)
    rows = [
        Seen("host", host.id, host.generation, host.character, cpu, ram_mib),
        Seen(
            "datastore",
            datastore.id,
            datastore.generation,
            datastore.character,
            disk_bytes=disk_bytes,
        ),
    ]
    for scope in (at.cluster, at.rack, at.datacenter):
        if scope is None:
            continue
        amounts = (demand.cpu, demand.ram_mib, demand.disk_bytes)
        added = (0, 0, 0) if holds_scope(demand, scope) else amounts
        rows.append(Seen(scope.kind, scope.id, scope.generation, scope.character, *added))
    return tuple(sorted(rows, key=lambda row: (row.kind, row.id)))
