"""A picture is the whole inventory at one moment of the store, read for one long thought."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.store.capacity import hold_slots, inventory, residents
from gateway.store.capacity.hold_slots import HoldSlot
from gateway.store.capacity.residents import ResidentRow
from gateway.store.db.pool import Store
from gateway.store.rules import rule_set
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, RelocationScope
from scheduler.plan.resident import LOCKED, RESTING, STATE, UNKNOWN, MovableVm, relocation

_KINDS = ("host", "datastore", "cluster", "rack", "datacenter")


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """The fleet, the VMs on it, and what is held; by host, who else moves VMs there."""

    fleet: Fleet
    vms: tuple[ResidentRow, ...]
    held: tuple[HoldSlot, ...]
    movers: Mapping[int, str] = field(default_factory=dict)


async def load(store: Store, rest_s: float = 0.0) -> StoreSnapshot:
    """All of it at one moment."""
    fleet = Fleet()
    async with store.read() as c:
        for kind in _KINDS:
            for row in await inventory.fetch(c, kind, None):
                fleet.apply(row)
        fleet.apply(await rule_set.read(c))
        vms = await residents.all_of(c, rest_s)
        held = await hold_slots.all_of(c)
        movers = await residents.movers(c)
    return StoreSnapshot(fleet, tuple(vms), tuple(held), movers)


def resident(row: ResidentRow) -> MovableVm:
    """Return the VM as plans see it, with the reason that keeps it where it is, if there is one."""
    return MovableVm(
        Demand(
            row.uuid,
            row.cpu,
            row.ram_mib,
            row.disk_bytes,
            row.type,
            row.datacenter_id,
            row.network,
            enterprise=row.enterprise_id,
            layer=row.layer_id,
            tier=row.tier_id,
        ),
        row.host_id,
        row.datastore_id,
        protected=row.protected,
        pinned=_pinned(row),
        live=row.state in ("ON", "PAUSED"),
        fixed=row.fixed,
    )


def _pinned(row: ResidentRow) -> str:
    if row.locked:
        return LOCKED
    if not row.clear:
        return UNKNOWN if row.shown == UNKNOWN else STATE
    return RESTING if row.just_moved else ""


def vms_by_host(picture: StoreSnapshot, reach: RelocationScope) -> Mapping[int, list[Demand]]:
    """The VMs by host, as what they would ask of another one."""
    found: dict[int, list[Demand]] = {}
    for row in picture.vms:
        host = picture.fleet.host(row.host_id)
        if host is None:
            continue
        asked = relocation(resident(row), picture.fleet, reach)
        found.setdefault(host.id, []).append(asked)
    return found
