"""Holds on the wire; times are RFC 3339, sizes in MiB and bytes."""

from typing import Any

from gateway.api.http.links import Linker
from gateway.api.representations.decisions import decision_link
from gateway.store.capacity.holds import HeldPlace, StoredHold


def hold(links: Linker, one: StoredHold) -> dict[str, Any]:
    """A hold with its places; those that a VM took over name it."""
    path = f"admin/holds/{one.id}"
    offered = [
        links.link("edit", path, "hold", title=one.name or str(one.id)),
        links.link("renew", f"{path}/action/renew", "hold"),
        links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
    ]
    if one.enterprise_id is not None:
        owner = f"admin/enterprises/{one.enterprise_id}"
        offered.append(links.link("enterprise", owner, "enterprise", title=one.enterprise))
    return {
        "id": str(one.id),
        "name": one.name,
        "creationTimestamp": one.created_at.isoformat(),
        "expires": one.expires_at.isoformat(),
        "free": sum(place.vm_id is None for place in one.places),
        "places": {"links": [], "collection": [_place(links, each) for each in one.places]},
        "links": offered,
    }


def _place(links: Linker, one: HeldPlace) -> dict[str, Any]:
    host = f"admin/datacenters/{one.datacenter_id}/racks/{one.rack_id}/machines/{one.host_id}"
    decided = [] if one.decision_id is None else [decision_link(links, one.decision_id)]
    store = f"admin/datacenters/{one.datacenter_id}/datastores/{one.datastore_id}"
    return {
        "cpu": one.cpu,
        "ram": one.ram_mib,
        "disk": one.disk_bytes,
        "type": one.type,
        "network": one.network,
        "virtualmachine": one.vm_id,
        "links": [
            links.link("machine", host, "machine", title=one.host),
            links.link("datastore", store, "datastore", title=one.datastore),
            *decided,
        ],
    }
