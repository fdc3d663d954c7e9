"""Weighing the headroom: what is free, what still fits, and what one lost host would leave."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from gateway.analysis.snapshot import StoreSnapshot, load, vms_by_host
from gateway.store.db.pool import Store
from scheduler.capacity.free_capacity import FreeCapacity, room_of
from scheduler.capacity.headroom import biggest, fits
from scheduler.capacity.host_failure import FailureAnalysis, HostFailure
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore
from scheduler.model.values import replace

_NOBODY = UUID(int=0)
LOSSES_SHOWN_MAX = 100


class HeadroomQuestion(msgspec.Struct, frozen=True):
    """How much of what is asked: one VM's size; nothing asked is only what is free."""

    datacenter: int
    type: str
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0
    network: str | None = None
    enterprise: int | None = None
    tier: int | None = None
    machines_max: int = 100

    def demand(self) -> Demand:
        """The size as a VM of it would ask."""
        return Demand(
            _NOBODY,
            self.cpu,
            self.ram_mib,
            self.disk_bytes,
            self.type,
            self.datacenter,
            self.network,
            enterprise=self.enterprise,
            tier=self.tier,
        )


async def headroom(store: Store, question: HeadroomQuestion) -> dict[str, Any]:
    """The whole answer, ready for JSON."""
    return weigh(await load(store), question)


def weigh(picture: StoreSnapshot, question: HeadroomQuestion) -> dict[str, Any]:
    """The answer for one moment."""
    fleet, demand = picture.fleet, question.demand()
    room = room_of(fleet)
    sized = bool(demand.cpu or demand.ram_mib or demand.disk_bytes)
    most = biggest(fleet, demand, room)
    body: dict[str, Any] = {
        "biggest": {
            "cpu": most.cpu,
            "ram": most.ram_mib,
            "disk": most.disk_bytes,
            "shapes": [{"cpu": cpu, "ram": ram} for cpu, ram in most.shapes],
        },
        "fits": fits(fleet, demand, room) if sized else None,
        "fitsWithoutHolds": fits(_without_holds(picture), demand) if sized else None,
        "machines": _machines(picture, room, question),
        "datastores": _datastores(picture, room, question),
        "tiers": _tiers(picture, room, question),
        "rules": _rules(room, question),
    }
    losses = FailureAnalysis(fleet, vms_by_host(picture, RelocationScope.RACK), room)
    found = losses.survey(demand if sized else None)
    body["anyMachineLost"] = {
        "safe": found.safe,
        "unsafe": list(found.unsafe[:LOSSES_SHOWN_MAX]),
        "unsafeCount": len(found.unsafe),
        "fits": found.left,
        "worst": None if found.worst is None else _worst(fleet, found.worst),
    }
    return body


def _worst(fleet: Fleet, loss: HostFailure) -> dict[str, Any]:
    host = fleet.host(loss.host)
    return {
        "machine": loss.host,
        "name": "" if host is None else host.name,
        "virtualmachines": loss.vms,
        "homeless": loss.homeless,
        "fits": loss.left,
    }


@dataclass(slots=True)
class _Sum:
    cpu: int = 0
    ram_mib: int = 0
    disk_bytes: int = 0


def _held(picture: StoreSnapshot) -> tuple[dict[int, _Sum], dict[int, int]]:
    """What is held of each host, and of each datastore."""
    hosts: dict[int, _Sum] = {}
    stores: dict[int, int] = {}
    for seat in picture.held:
        booked = seat.booked
        cell = hosts.setdefault(booked.host_id, _Sum())
        cell.cpu += booked.cpu
        cell.ram_mib += booked.ram_mib
        stores[booked.datastore_id] = stores.get(booked.datastore_id, 0) + booked.disk_bytes
    return hosts, stores


def _machines(
    picture: StoreSnapshot, room: FreeCapacity, question: HeadroomQuestion
) -> list[dict[str, Any]]:
    """The hosts of the datacenter, those that take most of the size first."""
    held, _ = _held(picture)
    slots = room.slots(question.demand())
    order = sorted(
        (n for n, at in enumerate(room.candidates) if at.host.datacenter == question.datacenter),
        key=lambda n: (-int(slots[n]), room.candidates[n].host.id),
    )
    rows = []
    for n in order[: question.machines_max]:
        host = room.candidates[n].host
        mine = held.get(host.id, _Sum())
        cpu, ram = host.cpu_limit - host.cpu_used, host.ram_limit_mib - host.ram_used_mib
        rows.append(
            {
                "id": host.id,
                "name": host.name,
                "state": host.state.value,
                "cpu": _free(cpu, mine.cpu, host.cpu_limit, host.cpu_rule),
                "ram": _free(ram, mine.ram_mib, host.ram_limit_mib, host.ram_rule),
                "fits": int(slots[n]),
            }
        )
    return rows


def _free(left: int, held: int, limit: int, rule: str) -> dict[str, Any]:
    return {"freeNow": left + held, "freeAfterHolds": left, "limit": limit, "rule": rule}


def _stores(room: FreeCapacity, question: HeadroomQuestion) -> Iterable[Datastore]:
    for each in room.datastores:
        if isinstance(each.row, Datastore) and each.row.datacenter == question.datacenter:
            yield each.row


def _datastores(
    picture: StoreSnapshot, room: FreeCapacity, question: HeadroomQuestion
) -> list[dict[str, Any]]:
    _, held = _held(picture)
    return [
        {
            "id": row.id,
            "name": row.name,
            "enabled": row.enabled,
            "tier": row.tier and row.tier.id,
            **_free(
                row.limit_bytes - row.used_bytes, held.get(row.id, 0), row.limit_bytes, row.rule
            ),
        }
        for row in sorted(_stores(room, question), key=lambda row: row.id)
    ]


def _tiers(
    picture: StoreSnapshot, room: FreeCapacity, question: HeadroomQuestion
) -> list[dict[str, Any]]:
    """Each tier's sum over its enabled datastores; no VM has its disks on two of them."""
    _, held = _held(picture)
    found: dict[int, dict[str, Any]] = {}
    for row in _stores(room, question):
        if row.tier is None or not row.enabled:
            continue
        cell = found.setdefault(
            row.tier.id,
            {"id": row.tier.id, "name": row.tier.name, **_free(0, 0, 0, "")},
        )
        left = max(row.limit_bytes - row.used_bytes, 0)
        cell["freeNow"] += left + held.get(row.id, 0)
        cell["freeAfterHolds"] += left
        cell["limit"] += row.limit_bytes
    return [found[id_] for id_ in sorted(found)]


def _rules(room: FreeCapacity, question: HeadroomQuestion) -> list[dict[str, Any]]:
    """What aggregated limits leave, holds counted in; None where one has no limit."""
    rows = []
    for each in room.scopes:
        row = each.row
        at = room.candidates[int(each.members[0])].host
        if isinstance(row, AggregateScope) and at.datacenter == question.datacenter:
            rows.append(
                {
                    "kind": row.kind,
                    "id": row.id,
                    "name": row.name,
                    "rule": row.rule,
                    "cpuFree": None if row.cpu_limit is None else row.cpu_limit - row.cpu_used,
                    "ramFree": None
                    if row.ram_limit_mib is None
                    else row.ram_limit_mib - row.ram_used_mib,
                }
            )
    return sorted(rows, key=lambda row: (str(row["kind"]), int(str(row["id"]))))


def _without_holds(picture: StoreSnapshot) -> Fleet:
    """The fleet as it is once every hold has ended without a VM."""
    hosts, stores = _held(picture)
    elements: dict[tuple[str, int], _Sum] = {}
    for seat in picture.held:
        for key in seat.booked.elements():
            cell = elements.setdefault(key, _Sum())
            cell.cpu += seat.booked.cpu
            cell.ram_mib += seat.booked.ram_mib
    made = Fleet()
    made.apply(picture.fleet.rules)
    layers = _layers(picture)
    for each in room_of(picture.fleet).datastores:
        if isinstance(each.row, Datastore):
            used = each.row.used_bytes - stores.get(each.row.id, 0)
            made.apply(replace(each.row, used_bytes=used))
    for each in room_of(picture.fleet).scopes:
        if isinstance(each.row, AggregateScope):
            less = elements.get((each.row.kind, each.row.id), _Sum())
            used, ram = each.row.cpu_used - less.cpu, each.row.ram_used_mib - less.ram_mib
            made.apply(replace(each.row, cpu_used=used, ram_used_mib=ram))
    for host in picture.fleet.hosts():
        less = hosts.get(host.id, _Sum())
        made.apply(
            replace(
                host,
                cpu_used=host.cpu_used - less.cpu,
                ram_used_mib=host.ram_used_mib - less.ram_mib,
                layers=host.layers - layers.get(host.id, frozenset()),
            )
        )
    return made


def _layers(picture: StoreSnapshot) -> Mapping[int, frozenset[int]]:
    """The layers that count on a host because of a hold; no VM of them is there besides."""
    found: dict[int, frozenset[int]] = {}
    for seat in picture.held:
        if seat.layer is not None:
            host = seat.booked.host_id
            found[host] = found.get(host, frozenset()) | {seat.layer}
    return found
