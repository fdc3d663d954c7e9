"""A held place is tried by all rules as if what holds it were not there, and no other place is."""

from dataclasses import dataclass, replace

from scheduler.demand import Demand
from scheduler.fleet import Fleet
from scheduler.inventory import Host, Scope
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


def place_held(fleet: Fleet, demand: Demand, held: Held) -> Placement | Refusal:
    """The demand at the held place, or why it will not do there.

    What the placement sees are the fleet's own rows, so that a claim of it tests them.
    """
    only = frozenset({held.host})
    asked = replace(demand, only=only if demand.only is None else demand.only & only)
    without = Fleet()
    without.apply(fleet.rules)
    host = fleet.host(held.host)
    if host is not None:
        _tell(without, fleet, host, held)
    return without.place(asked, fleet.rules.policy(demand.datacenter))


def _tell(without: Fleet, fleet: Fleet, host: Host, held: Held) -> None:
    datastore = fleet.datastore(held.datastore)
    if datastore is not None and datastore.id in host.datastores:
        without.apply(replace(datastore, used_bytes=datastore.used_bytes - held.disk_bytes))
    keys = [("rack", host.rack), ("datacenter", host.datacenter)]
    if host.cluster is not None:
        keys.append(("cluster", host.cluster))
    for key in keys:
        scope = fleet.scope(*key)
        if scope is not None:
            without.apply(_less(scope, held))
    without.apply(
        replace(
            host,
            cpu_used=host.cpu_used - held.cpu,
            ram_used_mib=host.ram_used_mib - held.ram_mib,
            layers=host.layers - {held.layer},
            datastores=(held.datastore,),
        )
    )


def _less(scope: Scope, held: Held) -> Scope:
    return replace(
        scope,
        cpu_used=scope.cpu_used - held.cpu,
        ram_used_mib=scope.ram_used_mib - held.ram_mib,
    )
