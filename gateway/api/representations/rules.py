"""Workload rules on the wire, each with links to its element and to what that lies in."""

from typing import Any

from gateway.api.http.links import Linker
from gateway.store.rules.rules import Rule

RULE_WORDS = {
    "machine_load": ("machineLoadLevel", "machineloadrule"),
    "datastore_load": ("datastoreloadlevel", "datastoreloadrule"),
    "fit_policy": ("fitsPolicy", "fitpolicyrule"),
    "enterprise_exclusion": ("enterpriseExclusions", "enterpriseexclusionrule"),
}
"""By kind: the resource's name in paths, and the media type."""


def rule(links: Linker, one: Rule) -> dict[str, Any]:
    """A workload rule and the element it is about."""
    resource, media = RULE_WORDS[one.kind]
    path = f"admin/rules/{resource}/{one.id}"
    edit = links.link("edit", path, media, title=f"{media} {one.id}")
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
        case "fit_policy":
            body |= {"fitPolicy": one.fit_policy, "packing": one.packing}
        case _:
            pass
    return {**body, "links": [edit, *_about(links, one)]}


def _about(links: Linker, one: Rule) -> list[dict[str, Any]]:
    """The datacenter first, the element last; an exclusion has its two enterprises."""
    if one.kind == "enterprise_exclusion":
        pair = (one.element_id, one.other_id)
        return [links.link("enterprise", f"admin/enterprises/{n}", "enterprise") for n in pair]
    datacenter = f"admin/datacenters/{one.datacenter_id}"
    rack = f"{datacenter}/racks/{one.rack_id}"
    tier = f"{datacenter}/datastoretiers/{one.tier_id}"
    paths = {
        "global": [],
        "datacenter": [("datacenter", datacenter)],
        "rack": [("rack", rack)],
        "cluster": [("rack", rack), ("cluster", f"{rack}/clusters/{one.cluster_id}")],
        "machine": [("rack", rack), ("machine", f"{rack}/machines/{one.element_id}")],
        "datastoretier": [("datastoretier", tier)],
        "datastore": [("datastore", f"{datacenter}/datastores/{one.element_id}")],
    }[one.level]
    if one.level not in ("global", "datacenter"):
        paths = [("datacenter", datacenter), *paths]
    return [links.link(rel, path, rel) for rel, path in paths]
