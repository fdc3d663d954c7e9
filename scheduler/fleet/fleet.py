"""The fleet is the live inventory: its answer is the one that asking every host would give.

It proposes; the store's ledger decides. It belongs to one thread and awaits nothing, so that
each answer is about one moment.
"""

from collections.abc import Iterable

from msgspec import structs

from scheduler.fleet.candidates import RankedCandidate, candidates, refuse
from scheduler.fleet.datacenter_index import Index
from scheduler.fleet.datastore_columns import WIDE, DatastoreIndex
from scheduler.fleet.host_columns import AMOUNT_MAX
from scheduler.fleet.ranking import FitPolicy, rank_key, score_from_rank
from scheduler.fleet.shared_constraints import SharedState
from scheduler.fleet.usage_ledger import RULES, Key, Ledger, Row, UsageEntry, Use, key_of
from scheduler.model.datastore_choice import choose
from scheduler.model.demand import Demand
from scheduler.model.host_partition import HostPartition, contains
from scheduler.model.inventory import AggregateScope, Candidate, Datastore, Host, RuleSet, Tombstone
from scheduler.model.own_bookings import disk_added, holds_host, holds_scope
from scheduler.model.placement import HostCounts, Placement, Refusal
from scheduler.rule_registry import first_lack

_SCOPES = ("cluster", "rack", "datacenter")


class Fleet:
    """Hosts, datastores and aggregated elements, and what is promised of them."""

    def __init__(self) -> None:
        """A fleet that knows of nothing yet; `apply` tells it."""
        self._ledger = Ledger()
        self._stores = DatastoreIndex()
        self._shared = SharedState(stores=self._stores)
        self._indexes: dict[int, Index] = {}
        self._rows: dict[int, Host] = {}

    def apply(self, change: Row | Tombstone) -> bool:
        """Takes the absolute values of a row; False when a newer or the same one is known."""
        if not self._ledger.apply(change):
            return False
        key = key_of(change)
        entry = self._ledger.entries.get(key)
        match key[0]:
            case "host":
                self._host_changed(key[1], entry)
            case "datastore":
                self._datastore_changed(key[1], entry)
            case "rules":
                self._rules_changed()
            case _:
                self._scope_changed(key, entry)
        return True

    def use(self, key: Key, promised: Use) -> None:
        """So much is promised in all of a row that is there.

        No generation says which of two uses is newer: for whoever keeps their order himself.
        """
        entry = self._ledger.entries[key]
        entry.use(promised)
        self._promised(*key, entry)

    def place(
        self, demand: Demand, policy: FitPolicy, share: HostPartition | None = None
    ) -> Placement | Refusal:
        """The gladdest host that will do, or every reason why none does.

        Only hosts of the demand's datacenter are tried, and those that it names. Those of the
        `share` are tried before the others; a policy that fills hosts then tries these in an order
        that is the share's own, since another process is filling the gladdest of them.
        """
        found = self.find(demand, policy, share)
        return refuse(self, demand) if found is None else found

    def find(
        self, demand: Demand, policy: FitPolicy, share: HostPartition | None = None
    ) -> Placement | None:
        """The same without the reasons, which take longest: None when no host does."""
        index = self._indexes.get(demand.datacenter)
        if index is None:
            return None
        if demand.only is not None:
            share = None
        section, huge = index.section, demand.cpu > AMOUNT_MAX or demand.ram_mib > AMOUNT_MAX
        named = demand.only is not None or demand.refused
        if demand.origin is not None or named or section.beyond or huge:
            answer = self._first(index, index.among(demand, policy, share), demand, policy)
            return _owned(answer, share)
        found = index.find(demand, policy, share)
        if found is None and share is not None:
            if policy.fills:
                return self._first(index, index.others(demand, share), demand, policy)
            share = None
            found = index.find(demand, policy, None)
        if found is None:
            return None
        slot, datastore = found
        seen = self._seen(demand, section.entries[slot], datastore)
        score = score_from_rank(
            policy, rank_key(policy, demand, index.short(policy))(section, slot)
        )
        assert isinstance(datastore.row, Datastore)
        return Placement(section.ids[slot], datastore.row.id, seen, policy, score, share)

    def candidates(self, demand: Demand, policy: FitPolicy) -> tuple[RankedCandidate, ...]:
        """Every host with its datastore or its reasons: those that will do first, gladdest first.

        The first one is what `place` would choose. Asks the rules host by host.
        """
        return candidates(self, demand, policy)

    def claim(self, placement: Placement, demand: Demand) -> None:
        """Counts the placement in until the store tells newer numbers of its rows."""
        claimant = (demand.vm.int, placement.host)
        entries = self._ledger.entries
        for seen in placement.seen:
            entry = entries.get((seen.kind, seen.id))
            if entry is not None:
                entry.add(claimant, (seen, demand))
                self._promised(seen.kind, seen.id, entry)

    def release(self, placement: Placement, demand: Demand) -> None:
        """Takes a claim back where it still counts; claiming or releasing twice is once."""
        claimant = (demand.vm.int, placement.host)
        for seen in placement.seen:
            entry = self._ledger.entries.get((seen.kind, seen.id))
            if entry is not None and entry.remove(claimant):
                self._promised(seen.kind, seen.id, entry)

    def hosts(self) -> tuple[Host, ...]:
        """All hosts by id, claims counted in."""
        return tuple(self.candidate(host).host for host in sorted(self._rows))

    def host(self, id: int) -> Host | None:
        """One host, claims counted in."""
        row = self._ledger.row(("host", id))
        return row if isinstance(row, Host) else None

    def datastore(self, id: int) -> Datastore | None:
        """One datastore, claims counted in."""
        row = self._ledger.row(("datastore", id))
        return row if isinstance(row, Datastore) else None

    def scope(self, kind: str, id: int) -> AggregateScope | None:
        """One aggregated element ("cluster", "rack" or "datacenter"), claims counted in."""
        row = self._ledger.row((kind, id))
        return row if isinstance(row, AggregateScope) else None

    def index(self, datacenter: int) -> Index | None:
        """The hosts of a datacenter in their columns, None where there are none."""
        return self._indexes.get(datacenter)

    @property
    def rules(self) -> RuleSet:
        """What the active rules say beyond the limits of the rows."""
        return self._shared.rules

    def rows(self) -> tuple[Row, ...]:
        """Every row, claims counted in, in (kind, id) order."""
        return tuple(entry.current() for _, entry in sorted(self._ledger.entries.items()))

    def candidate(self, id: int) -> Candidate:
        """A host with all that surrounds it, claims counted in; raises KeyError without it."""
        return self.around(self._ledger.entries["host", id])

    def around(self, entry: UsageEntry) -> Candidate:
        """The same for the host of an entry."""
        host = entry.current()
        assert isinstance(host, Host)
        seen = (self.datastore(each) for each in host.datastores)
        return Candidate(
            host,
            tuple(datastore for datastore in seen if datastore is not None),
            self.scope("rack", host.rack),
            self.scope("datacenter", host.datacenter),
            None if host.cluster is None else self.scope("cluster", host.cluster),
            self._shared.rules,
        )

    def _host_changed(self, id: int, entry: UsageEntry | None) -> None:
        old = self._rows.pop(id, None)
        new = None if entry is None else entry.row
        assert new is None or isinstance(new, Host)
        if new is not None:
            self._rows[id] = new
        for each in self._stores.look(id, old, new):
            self._restock(each)
        if old is not None and (new is None or old.datacenter != new.datacenter):
            self._indexes[old.datacenter].drop(id)
        if new is None or entry is None:
            return
        if new.reserved_for is not None and new.reserved_for not in self._shared.special:
            self._specialise({new.reserved_for})
        index = self._indexes.get(new.datacenter)
        if index is None:
            index = self._indexes[new.datacenter] = Index(self._shared)
        index.put(id, entry)

    def _datastore_changed(self, id: int, entry: UsageEntry | None) -> None:
        self._stores.put(id, entry)
        row = None if entry is None else entry.row
        if isinstance(row, Datastore) and row.tier is not None:
            self._specialise(set(row.tier.enterprises or ()))
        self._restock(id)

    def _restock(self, id: int) -> None:
        for host in self._stores.lookers.get(id, ()):
            row = self._rows.get(host)
            if row is not None and row.datacenter in self._indexes:
                self._indexes[row.datacenter].restock(host)

    def _scope_changed(self, key: Key, entry: UsageEntry | None) -> None:
        if entry is None:
            self._shared.scopes.pop(key, None)
        else:
            self._shared.scopes[key] = entry

    def _rules_changed(self) -> None:
        row = self._ledger.row(RULES)
        if isinstance(row, RuleSet):
            self._shared.rules = row
            self._shared.special |= {*row.restricted, *row.excluded}
        self._forget()

    def _specialise(self, enterprises: set[int]) -> None:
        if not enterprises <= self._shared.special:
            self._shared.special |= enterprises
            self._forget()

    def _forget(self) -> None:
        for index in self._indexes.values():
            index.forget()

    def _promised(self, kind: str, id: int, entry: UsageEntry) -> None:
        if kind == "host":
            assert isinstance(entry.row, Host)
            self._indexes[entry.row.datacenter].touch(id)
        elif kind == "datastore" and len(self._stores.lookers.get(id, ())) <= WIDE:
            self._restock(id)

    def _first(
        self, index: Index, slots: Iterable[int], demand: Demand, policy: FitPolicy
    ) -> Placement | None:
        """The first of these that the rules let pass, asked host by host."""
        glad = rank_key(policy, demand, index.short(policy))
        for slot in slots:
            at = self.candidate(index.section.ids[slot])
            if first_lack(demand, at) is not None:
                continue
            datastore = choose(demand, at)
            if datastore is not None:
                entry = self._stores.entries[datastore.id]
                seen = self._seen(demand, index.section.entries[slot], entry)
                score = score_from_rank(policy, glad(index.section, slot))
                return Placement(at.host.id, datastore.id, seen, policy, score)
        return None

    def _seen(self, demand: Demand, at: UsageEntry, store: UsageEntry) -> tuple[HostCounts, ...]:
        """Every ledger row that a claim touches, also where it adds nothing, in locking order."""
        host, datastore = at.row, store.row
        assert isinstance(host, Host)
        assert isinstance(datastore, Datastore)
        cpu, ram, disk = demand.cpu, demand.ram_mib, demand.disk_bytes
        if demand.origin is not None:
            disk = disk_added(demand, host, datastore)
            if holds_host(demand, host):
                cpu = ram = 0
        rows = (
            HostCounts(
                "datastore", datastore.id, datastore.generation, datastore.character, 0, 0, disk
            ),
            HostCounts("host", host.id, host.generation, host.character, cpu, ram),
        )
        return rows if not self._shared.scopes else self._with_scopes(demand, host, rows)

    def _with_scopes(
        self, demand: Demand, host: Host, rows: tuple[HostCounts, ...]
    ) -> tuple[HostCounts, ...]:
        found = list(rows)
        places = zip(_SCOPES, (host.cluster, host.rack, host.datacenter), strict=True)
        for kind, id in places:
            entry = None if id is None else self._ledger.entries.get((kind, id))
            if entry is None:
                continue
            row = entry.row
            assert isinstance(row, AggregateScope)
            amounts = (demand.cpu, demand.ram_mib, demand.disk_bytes)
            added = (0, 0, 0) if holds_scope(demand, row) else amounts
            found.append(HostCounts(kind, row.id, row.generation, row.character, *added))
        return tuple(sorted(found, key=lambda each: (each.kind, each.id)))


def _owned(answer: Placement | None, share: HostPartition | None) -> Placement | None:
    """The answer, with the share where the host is in it."""
    if share is None or answer is None or not contains(answer.host, share):
        return answer
    return structs.replace(answer, share=share)
