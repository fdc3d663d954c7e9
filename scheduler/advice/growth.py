"""A VM that outgrows its place is advised about that place alone, as if it were placed anew there.

Only room counts: who lives somewhere may grow there, whatever state, network, tier or tenants the
host has by now.
"""

from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.nearby_hosts import vicinity
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.hold_placement import Held, asked_of, rows_without
from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host, HostState
from scheduler.model.placement import HostVerdict, Placement
from scheduler.model.values import replace


def growing(
    fleet: Fleet, demand: Demand, place: Held
) -> tuple[LocalInventory, tuple[HostVerdict, ...]] | None:
    """The refusal of the grown demand at the place that the VM has, and what is around it; None
    where it fits, or room is not what is lacking."""
    host = fleet.host(place.host)
    if host is None:
        return None
    asked = replace(
        asked_of(demand, place), network=None, tier=None, layer=None, enterprise=host.reserved_for
    )
    rows = [_roomy(row) for row in rows_without(fleet, place)]
    alone = Fleet()
    for row in (fleet.rules, *rows):
        alone.apply(row)
    policy = fleet.rules.policy(demand.datacenter)
    answer = alone.place(asked, policy)
    if isinstance(answer, Placement) or not all(each.candidate for each in answer.verdicts):
        return None
    scene, nearest = vicinity(fleet, answer, policy)
    return replace(
        scene,
        hosts={**scene.hosts, **{row.id: row for row in rows if isinstance(row, Host)}},
        datastores={
            **scene.datastores,
            **{row.id: row for row in rows if isinstance(row, Datastore)},
        },
        scopes={
            **scene.scopes,
            **{
                (row.kind, row.id): row
                for row in rows
                if isinstance(row, AggregateScope) and (row.kind, row.id) in scene.scopes
            },
        },
    ), nearest


def _roomy(row: Host | Datastore | AggregateScope) -> Host | Datastore | AggregateScope:
    match row:
        case Host():
            return replace(row, state=HostState.MANAGED, reachable=True)
        case Datastore():
            # Growing takes no more of the disks.
            return replace(row, enabled=True, tier=None, limit_bytes=2**62)
        case _:
            return row
