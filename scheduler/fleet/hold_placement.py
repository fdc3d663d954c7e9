"""A held place is tried by all rules as if what holds it were not there, and no other place is."""

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import score
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace
from scheduler.scores.bin_packing import filling


@dataclass(frozen=True, slots=True)
class Held:
    """Capacity that is booked at a place for a VM to come; `layer` counts there because of it."""

    host: int
    datastore: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    layer: int | None = None


def asked_of(demand: Demand, held: Held) -> Demand:
    """The demand, of the held host only."""
    only = frozenset({held.host})
    return replace(demand, only=only if demand.only is None else demand.only & only)


def place_held(fleet: Fleet, demand: Demand, held: Held) -> Placement | Refusal:
    """The demand at the held place, or why it will not do there.

    What the placement sees are the fleet's own rows, so that a claim of it tests them. Only a
    refusal looks at the whole fleet, since it counts every host.
    """
    asked, policy = asked_of(demand, held), fleet.rules.policy(demand.datacenter)
    rows = rows_without(fleet, held)
    answer = _fleet_of(fleet, rows).place(asked, policy)
    if isinstance(answer, Refusal):
        return _fleet_of(fleet, (*rows, *_all_rows(fleet))).place(asked, policy)
    found = _score(fleet, rows, asked, policy)
    return Placement(answer.host, answer.datastore, answer.seen, policy, found)


def _score(
    fleet: Fleet,
    rows: Iterable[Host | Datastore | AggregateScope],
    asked: Demand,
    policy: FitPolicy,
) -> int:
    """What asking all hosts would give, of which the held one may be unused but for its hold."""
    (host,) = (row for row in rows if isinstance(row, Host))
    index, present = fleet.index(host.datacenter), fleet.host(host.id)
    assert index is not None
    assert present is not None
    freed = (filling(host) == 0) - (filling(present) == 0)
    return score(policy, host, asked, index.short(policy, freed))


def _fleet_of(fleet: Fleet, rows: Iterable[Host | Datastore | AggregateScope]) -> Fleet:
    """A fleet of these rows under the same rules; of two of one row the first one counts."""
    made = Fleet()
    made.apply(fleet.rules)
    for row in rows:
        made.apply(row)
    return made


def _all_rows(fleet: Fleet) -> list[Host | Datastore | AggregateScope]:
    hosts = fleet.hosts()
    keys = {key for host in hosts for key in _keys(host)}
    datastores = [fleet.datastore(id) for id in {id for host in hosts for id in host.datastores}]
    found = (*datastores, *(fleet.scope(*key) for key in keys), *hosts)
    return [row for row in found if row is not None]


def _keys(host: Host) -> list[tuple[str, int]]:
    keys = [("rack", host.rack), ("datacenter", host.datacenter)]
    return keys if host.cluster is None else [*keys, ("cluster", host.cluster)]


def rows_without(fleet: Fleet, held: Held) -> tuple[Host | Datastore | AggregateScope, ...]:
    """The rows around the place as they would be had nothing been held there.

    The host sees no datastore but the held one; it is not there when the fleet has no such host.
    """
    host = fleet.host(held.host)
    if host is None:
        return ()
    rows: list[Host | Datastore | AggregateScope] = []
    datastore = fleet.datastore(held.datastore)
    sees = datastore is not None and datastore.id in host.datastores
    if datastore is not None:
        rows.append(replace(datastore, used_bytes=datastore.used_bytes - held.disk_bytes))
    scopes = (fleet.scope(*key) for key in _keys(host))
    rows += [_less(scope, held) for scope in scopes if scope is not None]
    rows.append(
        replace(
            host,
            cpu_used=host.cpu_used - held.cpu,
            ram_used_mib=host.ram_used_mib - held.ram_mib,
            layers=host.layers - {held.layer},
            datastores=(held.datastore,) if sees else (),
        )
    )
    return tuple(rows)


def _less(scope: AggregateScope, held: Held) -> AggregateScope:
    return replace(
        scope,
        cpu_used=scope.cpu_used - held.cpu,
        ram_used_mib=scope.ram_used_mib - held.ram_mib,
        disk_used_bytes=max(0, scope.disk_used_bytes - held.disk_bytes),
    )
