"""A held place is tried by all rules as if what holds it were not there, and no other place is."""

from dataclasses import dataclass, replace

from scheduler.demand import Demand
from scheduler.fleet import Fleet
from scheduler.inventory import Datastore, Host, Scope
from scheduler.placement import Placement, Refusal


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

    What the placement sees are the fleet's own rows, so that a claim of it tests them.
    """
    without = Fleet()
    without.apply(fleet.rules)
    for row in rows_without(fleet, held):
        without.apply(row)
    return without.place(asked_of(demand, held), fleet.rules.policy(demand.datacenter))


def rows_without(fleet: Fleet, held: Held) -> tuple[Host | Datastore | Scope, ...]:
    """The rows around the place as they would be had nothing been held there.

    The host sees no datastore but the held one; it is not there when the fleet has no such host.
    """
    host = fleet.host(held.host)
    if host is None:
        return ()
    rows: list[Host | Datastore | Scope] = []
    datastore = fleet.datastore(held.datastore)
    sees = datastore is not None and datastore.id in host.datastores
    if datastore is not None:
        rows.append(replace(datastore, used_bytes=datastore.used_bytes - held.disk_bytes))
    keys = [("rack", host.rack), ("datacenter", host.datacenter)]
    if host.cluster is not None:
        keys.append(("cluster", host.cluster))
    scopes = (fleet.scope(*key) for key in keys)
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


def _less(scope: Scope, held: Held) -> Scope:
    return replace(
        scope,
        cpu_used=scope.cpu_used - held.cpu,
        ram_used_mib=scope.ram_used_mib - held.ram_mib,
    )
