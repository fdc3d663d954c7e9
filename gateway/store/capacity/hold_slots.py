"""Seats are the places of a hold, each for one VM; a claim takes one over in its own commit.

A seat counts in the ledger until then, and the VM's booking from then on: never both, never
neither. Whoever locks seats does so before the rule set and the ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from gateway.store.capacity import booking_deltas
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.capacity.ledger import Delta, Key
from gateway.store.capacity.tenant_conflicts import TenantVm
from gateway.store.db.pool import Connection

_SELECT = """
select s.id, s.hold_id, h.enterprise_id, s.layer_id, s.tier_id, s.type, s.network, -s.id,
  s.host_id, s.datastore_id, x.cluster_id, x.rack_id, x.datacenter_id, s.cpu, s.ram_mib,
  s.disk_bytes
from hold_booking s join hold h on h.id = s.hold_id join host x on x.id = s.host_id
"""
_FREE = "s.vm_id is null and h.expires_at > clock_timestamp()"


@dataclass(frozen=True, slots=True)
class HoldSlot:
    """A place that is held, with what it is for; `booked` is what it counts as."""

    id: int
    hold: UUID
    enterprise: int | None
    layer: int | None
    tier: int | None
    type: str
    network: str | None
    booked: Booked

    def spares(self, vm: TenantVm) -> TenantVm:
        """The VM as the seat's neighbours see it: its layer is there already, by the seat."""
        return replace(vm, layer=None) if vm.layer == self.layer else vm

    def suits(self, vm: TenantVm) -> bool:
        """Whether it is held for the VM's owner and layer."""
        return self.enterprise in (None, vm.enterprise) and self.layer in (None, vm.layer)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a VM asks of a hold."""

    hold: UUID
    vm: UUID
    cpu: int
    ram_mib: int
    disk_bytes: int
    enterprise: int
    layer: int | None
    type: str


async def fitting(c: Connection, wanted: Wanted) -> list[HoldSlot]:
    """The free seats of a hold that the VM fits into, the smallest first.

    Of equal ones each VM prefers others, so that many at once seldom want the same.
    """
    rows = await c.fetch(
        f"""{_SELECT} where s.hold_id = $1 and {_FREE} and s.cpu >= $2 and s.ram_mib >= $3
              and s.disk_bytes >= $4 and coalesce(h.enterprise_id, $5) = $5
              and (s.layer_id is null or s.layer_id = $6) and s.type = $7
            order by s.cpu, s.ram_mib, s.disk_bytes, md5(s.id::text || $8)""",
        wanted.hold,
        wanted.cpu,
        wanted.ram_mib,
        wanted.disk_bytes,
        wanted.enterprise,
        wanted.layer,
        wanted.type,
        str(wanted.vm),
    )
    return [_seat(row) for row in rows]


async def lock(c: Connection, ids: Iterable[int]) -> dict[int, HoldSlot]:
    """Those of the seats that are free still, locked in the order of their ids."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = await c.fetch(
        f"{_SELECT} where s.id = any($1) and {_FREE} order by s.id for update of s", wanted
    )
    return {row["id"]: _seat(row) for row in rows}


async def lock_of_holds(c: Connection, holds: Sequence[UUID]) -> None:
    """Lock all seats of these holds that no VM took, expired or not, in order."""
    await c.execute(
        """select id from hold_booking where hold_id = any($1) and vm_id is null
           order by id for update""",
        holds,
    )


async def of_holds(c: Connection, holds: Sequence[UUID]) -> list[HoldSlot]:
    """The seats of these holds that no VM took, expired or not."""
    rows = await c.fetch(
        f"{_SELECT} where s.hold_id = any($1) and s.vm_id is null order by s.id", holds
    )
    return [_seat(row) for row in rows]


async def all_of(c: Connection) -> list[HoldSlot]:
    """The seats of all holds that no VM took, those of ended ones too: they count still."""
    return [_seat(row) for row in await c.fetch(f"{_SELECT} where s.vm_id is null order by s.id")]


async def pass_on(c: Connection, taken: Mapping[int, int]) -> None:
    """The seats, by id, belong to these VMs now; the caller has locked them."""
    if taken:
        await c.execute(
            """update hold_booking s set vm_id = t.vm_id
               from unnest($1::bigint[], $2::bigint[]) as t(id, vm_id) where s.id = t.id""",
            list(taken),
            list(taken.values()),
        )


def exchanged(added: Sequence[Delta], seat: HoldSlot) -> tuple[Delta, ...]:
    """What changes row by row when a booking that adds so much takes the seat's place."""
    given = {(d.kind, d.id): d for d in booking_deltas.taken(seat.booked, [])}
    keys: list[Key] = [(d.kind, d.id) for d in added]
    net = []
    for key, each in zip(keys, added, strict=True):
        back = given.get(key, Delta(*key))
        net.append(
            Delta(
                *key,
                each.cpu + back.cpu,
                each.ram_mib + back.ram_mib,
                each.disk_bytes + back.disk_bytes,
            )
        )
    return (*net, *(each for key, each in given.items() if key not in keys))


def _seat(row: Any) -> HoldSlot:
    values = list(row)
    return HoldSlot(
        values[0],
        values[1],
        values[2],
        values[3],
        values[4],
        values[5],
        values[6],
        Booked(*values[7:]),
    )
