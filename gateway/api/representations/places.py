"""Datacenters, racks, machines, datastores and workload rules on the wire."""

from typing import Any

from gateway.api.links import Linker
from gateway.store.places import Datacenter, DatastoreRow, HostRow, Rack
from gateway.store.rules import Rule

RULE_WORDS = {
    "machine_load": ("machineLoadLevel", "machineloadrule"),
    "datastore_load": ("datastoreloadlevel", "datastoreloadrule"),
    "fit_policy": ("fitsPolicy", "fitpolicyrule"),
}
"""By kind: the resource's name in paths, and the media type."""


def datacenter(links: Linker, one: Datacenter) -> dict[str, Any]:
    """A datacenter as administrators see it."""
    path = f"admin/datacenters/{one.id}"
    return {
        "id": one.id,
        "uuid": str(one.uuid),
        "name": one.name,
        "location": one.location,
        "links": [
            links.link("edit", path, "datacenter"),
            links.link("racks", f"{path}/racks", "racks"),
            links.link("datastores", f"{path}/datastores", "datastores"),
        ],
    }


def rack(links: Linker, one: Rack) -> dict[str, Any]:
    """A rack."""
    path = _rack_path(one.datacenter_id, one.id)
    return {
        "id": one.id,
        "name": one.name,
        "shortDescription": one.description,
        "links": [
            links.link("edit", path, "rack"),
            links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
            links.link("machines", f"{path}/machines", "machines"),
        ],
    }


def machine(links: Linker, one: HostRow, stores: list[DatastoreRow]) -> dict[str, Any]:
    """A host in Abiquo's words, with both generations of its size fields."""
    path = machine_path(one)
    cpus, memory = one.cpus or 0, one.memory_mib or 0
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "ip": one.address,
        "ipService": one.address,
        "type": one.type,
        "state": machine_state(one),
        "virtualCpuCores": cpus,
        "virtualCpusUsed": one.cpu_used,
        "virtualRamInMb": memory,
        "virtualRamUsedInMb": one.ram_used,
        "cpu": cpus,
        "cpuUsed": one.cpu_used,
        "ram": memory,
        "ramUsed": one.ram_used,
        "cpuLimit": one.cpu_limit,
        "ramLimit": one.ram_limit,
        "hypervisor": one.hypervisor,
        "product": one.product,
        "version": one.version,
        "reachable": one.reachable,
        "observedAt": one.observed_at.isoformat() if one.observed_at else None,
        "networks": one.networks,
        "datastores": {
            "links": [],
            "collection": [datastore(links, each, one) for each in stores],
        },
        "networkInterfaces": {"links": [], "collection": []},
        "links": [
            links.link("edit", path, "machine"),
            links.link("rack", _rack_path(one.datacenter_id, one.rack_id), "rack"),
            links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
            links.link("datastores", f"{path}/datastores", "datastores"),
            links.link("virtualmachines", f"{path}/virtualmachines", "virtualmachines"),
            links.link("checkstate", f"{path}/action/checkstate", "machinestate"),
        ],
    }


def machine_state(one: HostRow) -> str:
    """MANAGED only while it answers; the administrator's own choice otherwise."""
    return "STOPPED" if one.state == "MANAGED" and not one.reachable else one.state


def datastore(links: Linker, one: DatastoreRow, host: HostRow | None = None) -> dict[str, Any]:
    """A datastore; sizes in bytes."""
    path = f"admin/datacenters/{one.datacenter_id}/datastores/{one.id}"
    more = [] if host is None else [links.link("machine", machine_path(host), "machine")]
    return {
        "id": one.id,
        "name": one.name,
        "rootPath": one.path,
        "directory": one.pool,
        "datastoreUUID": str(one.uuid),
        "enabled": one.enabled,
        "shared": one.shared,
        "tier": one.tier,
        "size": one.capacity_bytes or 0,
        "usedSize": one.used_bytes,
        "links": [links.link("edit", path, "datastore"), *more],
    }


def rule(links: Linker, one: Rule) -> dict[str, Any]:
    """A workload rule and the element it is about."""
    resource, media = RULE_WORDS[one.kind]
    found = [links.link("edit", f"admin/rules/{resource}/{one.id}", media)]
    if one.level != "global":
        found.append(element_link(links, one))
    body: dict[str, Any] = {"id": one.id}
    match one.kind:
        case "machine_load":
            body |= {
                "cpuLoadPercentage": one.cpu_percent,
                "ramLoadPercentage": one.ram_percent,
                "aggregated": one.aggregated,
            }
        case "datastore_load":
            body |= {"storageLoadPercentage": one.storage_percent}
        case _:
            body |= {"fitPolicy": one.fit_policy}
    return {**body, "links": found}


def element_link(links: Linker, one: Rule) -> dict[str, Any]:
    """The link to a rule's element."""
    datacenter = f"admin/datacenters/{one.datacenter_id}"
    paths = {
        "datacenter": datacenter,
        "rack": f"{datacenter}/racks/{one.rack_id}",
        "machine": f"{datacenter}/racks/{one.rack_id}/machines/{one.element_id}",
        "datastore": f"{datacenter}/datastores/{one.element_id}",
    }
    return links.link(one.level, paths[one.level], one.level)


def machine_path(one: HostRow) -> str:
    """Where a machine is, below /api."""
    return f"{_rack_path(one.datacenter_id, one.rack_id)}/machines/{one.id}"


def _rack_path(datacenter_id: int, rack_id: int) -> str:
    return f"admin/datacenters/{datacenter_id}/racks/{rack_id}"
