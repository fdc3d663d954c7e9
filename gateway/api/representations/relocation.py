"""Relocation candidates on the wire: each host of the scope fits, is rejected, or is current."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.api.http.links import Linker
from gateway.placement.candidates import Candidates
from gateway.store.capacity.headroom import DatastoreRoom, HostRoom
from gateway.store.vms import Vm
from scheduler.model.placement import HostVerdict
from scheduler.model.reason import Reason


def machines(
    links: Linker, vm: Vm, found: Candidates, rooms: Mapping[int, HostRoom]
) -> dict[str, Any]:
    """The body of relocatecandidates: `collection` fits; `rejected` and `current` are ours.

    A host of another datacenter is out of scope and in none of the three.
    """
    fitting = [rooms[host] for host in found.fitting if host in rooms and host != found.current]
    current = rooms.get(found.current) if found.current is not None else None
    return {
        "links": [],
        "collection": [_machine(links, vm, room, moving=True) for room in fitting],
        "rejected": [
            _rejected(links, verdict, rooms)
            for verdict in found.rejected
            if verdict.host != found.current and _in_scope(vm, rooms.get(verdict.host))
        ],
        "current": None if current is None else _machine(links, vm, current, moving=False),
    }


def _in_scope(vm: Vm, room: HostRoom | None) -> bool:
    return room is None or room.datacenter_id == vm.datacenter_id


def _path(room: HostRoom) -> str:
    return f"admin/datacenters/{room.datacenter_id}/racks/{room.rack_id}/machines/{room.id}"


def _machine(links: Linker, vm: Vm, room: HostRoom, *, moving: bool) -> dict[str, Any]:
    """A machine with its room before and after the move; `moving` false for where the VM is."""
    rack = f"admin/datacenters/{room.datacenter_id}/racks/{room.rack_id}"
    return {
        "id": room.id,
        "name": room.name,
        "description": room.description,
        "ip": room.address,
        "ipService": room.address,
        "type": room.type,
        "state": room.state,
        "cpu": room.cpus,
        "cpuUsed": room.cpu_used,
        "ram": room.memory_mib,
        "ramUsed": room.ram_used_mib,
        "virtualCpuCores": room.cpus,
        "virtualCpusUsed": room.cpu_used,
        "virtualRamInMb": room.memory_mib,
        "virtualRamUsedInMb": room.ram_used_mib,
        "movedBy": room.mover,
        "virtualMachinesRunning": room.running,
        "sampleAgeInSeconds": _age_s(room.observed_at),
        "cpuRoom": _room(room.cpu_limit, room.cpu_used, vm.cpu if moving else 0),
        "ramRoom": _room(room.ram_limit_mib, room.ram_used_mib, vm.ram_mib if moving else 0),
        "datastores": {
            "links": [],
            "collection": [_datastore(vm, each, moving=moving) for each in room.datastores],
        },
        "links": [
            links.link("edit", _path(room), "machine", title=room.name),
            links.link("self", _path(room), "machine", title=room.name),
            links.link("rack", rack, "rack"),
        ],
    }


def _room(limit: int, used: int, need: int) -> dict[str, int]:
    """An amount's limit by the rules and what is promised of it, and so what is left."""
    return {
        "limit": limit,
        "used": used,
        "headroomBefore": limit - used,
        "headroomAfter": limit - used - need,
    }


def _datastore(vm: Vm, room: DatastoreRoom, *, moving: bool) -> dict[str, Any]:
    """A datastore; a VM that is on it already needs nothing more there."""
    need = vm.disk_bytes if moving and room.id != vm.datastore_id else 0
    return {
        "id": room.id,
        "name": room.name,
        "rootPath": room.path,
        "datastoreUUID": str(room.uuid),
        "enabled": room.enabled,
        "size": room.capacity_bytes,
        "usedSize": room.used_bytes,
        "shared": room.shared,
        "room": _room(room.limit_bytes, room.used_bytes, need),
        "links": [],
    }


def _age_s(observed_at: datetime | None) -> float | None:
    if observed_at is None:
        return None
    return round((datetime.now(UTC) - observed_at).total_seconds(), 3)


def _rejected(links: Linker, verdict: HostVerdict, rooms: Mapping[int, HostRoom]) -> dict[str, Any]:
    room = rooms.get(verdict.host)
    return {
        "id": verdict.host,
        "name": verdict.name,
        "ip": "" if room is None else room.address,
        "reasons": reasons(verdict.reasons),
        "links": []
        if room is None
        else [links.link("machine", _path(room), "machine", title=room.name)],
    }


def reasons(found: Sequence[Reason]) -> list[dict[str, Any]]:
    """Structured rows, one for each rule the host failed."""
    return [
        {
            "lack": reason.lack.value,
            "wanted": reason.wanted,
            "spare": reason.spare,
            "limit": reason.limit,
            "shortfall": reason.shortfall,
            "rule": reason.rule,
            "where": reason.where,
            "lasting": reason.lasting,
        }
        for reason in found
    ]
