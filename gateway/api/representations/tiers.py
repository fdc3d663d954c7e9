"""Datastore tiers on the wire, as administrators and as tenants see them."""

from typing import Any

from gateway.api.http.links import Linker
from gateway.store.rules.tiers import TierRow

ACTIONS = (
    ("adddatastores", "links"),
    ("releasedatastores", "links"),
    ("allowallenterprises", ""),
    ("restrictallenterprises", ""),
)


def tier(links: Linker, one: TierRow) -> dict[str, Any]:
    """A tier with what administrators may do to it."""
    datacenter = f"admin/datacenters/{one.datacenter_id}"
    path = f"{datacenter}/datastoretiers/{one.id}"
    return {
        **_fields(one),
        "links": [
            links.link("edit", path, "datastoretier", title=one.name),
            links.link("datacenter", datacenter, "datacenter"),
            links.link("datastores", f"{path}/datastores", "datastores"),
            links.link("enterprises", f"{path}/enterprises", "enterprises"),
            *(links.link(rel, f"{path}/action/{rel}", media) for rel, media in ACTIONS),
        ],
    }


def offered(links: Linker, one: TierRow) -> dict[str, Any]:
    """A tier as a tenant sees it: read only."""
    return {
        **_fields(one),
        "links": [
            offered_link(links, "self", one.datacenter_id, one.id, one.name),
            links.link("location", f"cloud/locations/{one.datacenter_id}", "datacenter"),
        ],
    }


def offered_link(
    links: Linker, rel: str, datacenter_id: int, tier_id: int, name: str | None
) -> dict[str, Any]:
    """A link to a tier as tenants see it."""
    path = f"cloud/locations/{datacenter_id}/datastoretiers/{tier_id}"
    return links.link(rel, path, "datastoretier", title=name)


def _fields(one: TierRow) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "enabled": one.enabled,
        "defaultAllowed": one.open_to_all,
        "defaultForDatacenter": one.is_default,
        "storageAllocationPolicy": "PROGRESSIVE" if one.progressive else "PERFORMANCE",
    }
