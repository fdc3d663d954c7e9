"""Datacenters, racks, clusters, machines and datastores on the wire."""

from typing import Any

from gateway.api.http.links import Linker
from gateway.store.places import Datacenter, DatastoreRow, HostRow, Rack
from gateway.store.rules.clusters import HostCluster


def datacenter(links: Linker, one: Datacenter) -> dict[str, Any]:
    """A datacenter as administrators see it."""
    path = f"admin/datacenters/{one.id}"
    tier = f"{path}/datastoretiers/{one.default_tier_id}"
    default = (
        []
        if one.default_tier_id is None
        else [links.link("defaultdatastoretier", tier, "datastoretier")]
    )
    return {
        "id": one.id,
        "uuid": str(one.uuid),
        "name": one.name,
        "location": one.location,
        "links": [
            links.link("edit", path, "datacenter", title=one.name),
            links.link("racks", f"{path}/racks", "racks"),
            links.link("datastores", f"{path}/datastores", "datastores"),
            links.link("datastoretiers", f"{path}/datastoretiers", "datastoretiers"),
            links.link("tiers", f"{path}/datastoretiers", "datastoretiers"),
            links.link("network", f"{path}/network", "vlans"),
            links.link("networkservicetypes", f"{path}/networkservicetypes", "networkservicetypes"),
            *default,
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
            links.link("edit", path, "rack", title=one.name),
            links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
            links.link("machines", f"{path}/machines", "machines"),
            links.link("clusters", f"{path}/clusters", "clusters"),
        ],
    }


def cluster(links: Linker, one: HostCluster) -> dict[str, Any]:
    """A cluster with its machines."""
    rack_path = _rack_path(one.datacenter_id, one.rack_id)
    path = f"{rack_path}/clusters/{one.id}"
    return {
        "id": one.id,
        "name": one.name,
        "links": [
            links.link("edit", path, "cluster", title=one.name),
            links.link("self", path, "cluster", title=one.name),
            links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
            links.link("rack", rack_path, "rack"),
            *(
                links.link("machine", f"{rack_path}/machines/{host_id}", "machine", title=name)
                for host_id, name in one.hosts
            ),
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
        "overLimit": one.over_limit,
        "cpuMeasuredInMhz": one.measured_cpu_mhz,
        "ramMeasuredInMb": one.measured_memory_mib,
        "movedBy": one.mover,
        "hypervisor": one.hypervisor,
        "product": one.product,
        "version": one.version,
        "reachable": one.reachable,
        "reason": one.reason,
        "observedAt": one.observed_at.isoformat() if one.observed_at else None,
        "networks": one.networks,
        "datastores": {
            "links": [],
            "collection": [datastore(links, each, one) for each in stores],
        },
        "networkInterfaces": {"links": [], "collection": []},
        "links": [
            links.link("edit", path, "machine", title=one.name),
            links.link("rack", _rack_path(one.datacenter_id, one.rack_id), "rack"),
            links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
            links.link("datastores", f"{path}/datastores", "datastores"),
            links.link("virtualmachines", f"{path}/virtualmachines", "virtualmachines"),
            links.link("checkstate", f"{path}/action/checkstate", "machinestate"),
            *_groups(links, one),
        ],
    }


def _groups(links: Linker, one: HostRow) -> list[dict[str, Any]]:
    """The cluster it is in, and the enterprise it is reserved to."""
    found = []
    if one.cluster_id is not None:
        path = f"{_rack_path(one.datacenter_id, one.rack_id)}/clusters/{one.cluster_id}"
        found.append(links.link("cluster", path, "cluster", title=one.cluster))
    if one.reserved_for is not None:
        path = f"admin/enterprises/{one.reserved_for}"
        found.append(links.link("enterprise", path, "enterprise", title=one.reserved_name))
    return found


def machine_state(one: HostRow) -> str:
    """MANAGED only while it answers; the administrator's own choice otherwise."""
    return "STOPPED" if one.state == "MANAGED" and not one.reachable else one.state


def datastore(links: Linker, one: DatastoreRow, host: HostRow | None = None) -> dict[str, Any]:
    """A datastore; sizes in bytes. Of a host it says whether that host can use it, and why not."""
    path = f"admin/datacenters/{one.datacenter_id}/datastores/{one.id}"
    seen = {} if host is None else {"usable": not one.problem, "problem": one.problem}
    more = [] if host is None else [links.link("machine", machine_path(host), "machine")]
    if one.tier_id is not None:
        tier = f"admin/datacenters/{one.datacenter_id}/datastoretiers/{one.tier_id}"
        more.append(links.link("datastoretier", tier, "datastoretier", title=one.tier))
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
        "overLimit": one.over_limit,
        **seen,
        "links": [links.link("edit", path, "datastore", title=one.name), *more],
    }


def machine_path(one: HostRow) -> str:
    """Where a machine is, below /api."""
    return f"{_rack_path(one.datacenter_id, one.rack_id)}/machines/{one.id}"


def _rack_path(datacenter_id: int, rack_id: int) -> str:
    return f"admin/datacenters/{datacenter_id}/racks/{rack_id}"
